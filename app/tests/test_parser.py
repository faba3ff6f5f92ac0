"""The short cut of the parser takes nothing that gunicorn's own parser would read in another way."""

from typing import Any

from counter.parser import HeadParser
from gunicorn.asgi.parser import ParseError, PythonProtocol
from hypothesis import example, given, settings
from hypothesis import strategies as st

LIMITS = {"limit_request_line": 100, "limit_request_fields": 5, "limit_request_field_size": 60}
FIELDS = ("method", "path", "http_version", "headers", "content_length", "is_chunked", "should_keep_alive")


def _outcome(parser: type[PythonProtocol], pieces: list[bytes]) -> list[Any]:
    """Everything that can be seen of a parser that is fed the pieces and serves what comes of them."""
    seen: list[Any] = []

    def head() -> bool:
        seen.append([getattr(reader, name) for name in FIELDS])
        return False

    reader: Any = parser(
        on_headers_complete=head,
        on_body=seen.append,
        on_message_complete=lambda: seen.append("complete"),
        **LIMITS,
    )
    try:
        for piece in pieces:
            data = piece
            while data:
                reader.feed(data)
                data = b""
                if reader.is_complete:
                    data = reader.remaining()
                    reader.reset()
                    seen.append("next")
    except ParseError as error:
        seen.append((type(error), str(error)))
    return seen


HEADS = st.lists(
    st.sampled_from(
        [
            b"GET ",
            b"POST ",
            b"OPTIONS ",
            b"get ",
            b"/",
            b"/a?b=%20",
            b"*",
            b"http://x/",
            b" HTTP/1.1",
            b" HTTP/1.0",
            b" HTTP/2.0",
            b"\r\n",
            b"\r\n",
            b"\n",
            b"Host: x\r\n",
            b"host:y \t\r\n",
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"A:\r\n",
            b"A b: c\r\n",
            b": c\r\n",
            b"X: " + b"x" * 50 + b"\r\n",
            b"\xff",
            b"\x00",
            b"\r\n\r\n",
            b"3\r\nabc\r\n0\r\n\r\n",
            b"abc",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\n",
        ]
    )
    | st.binary(max_size=4),
    max_size=12,
).map(b"".join)


@settings(max_examples=1500, deadline=None, derandomize=True, database=None)
@given(HEADS, st.integers(0, 200))
@example(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3, 200)
@example(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 6 + b"\r\n", 200)
@example(b"GET / HTTP/1.1\r\nA: " + b"b" * 60 + b"\r\n\r\n", 200)
@example(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n", 200)
@example(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200)
def test_same_as_the_parser_it_replaces(data: bytes, cut: int) -> None:
    pieces = [data[:cut], data[cut:]]
    assert _outcome(HeadParser, pieces) == _outcome(PythonProtocol, pieces)


def test_the_short_cut_is_taken() -> None:
    class Blind(HeadParser):
        def _parse_request_line(self) -> bool:
            raise AssertionError("the long way")

    seen: list[Any] = []
    parser: Any = Blind(on_message_complete=lambda: seen.append(parser.headers), **LIMITS)
    parser.feed(b"GET / HTTP/1.1\r\nHost: x\r\nAccept:  */*\t\r\n\r\n")
    assert seen == [[(b"host", b"x"), (b"accept", b"*/*")]]
