"""gunicorn's HTTP parser with a short cut for requests whose head arrives whole."""

import re

from gunicorn.asgi.parser import PythonProtocol

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
# Possessive quantifiers (++, *+) never go back: the time to find no match is linear too.
_HEAD = re.compile(
    rb"([A-Z]{3,20}+) (/[\x21-\x7e]*+) HTTP/1\.([01])\r\n"
    rb"((?:" + _TOKEN + rb"++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+)\r\n"
)
_FIELD = re.compile(rb"(" + _TOKEN + rb"++):([^\r]*+)\r\n")


class HeadParser(PythonProtocol):
    """Reads a usual head by one regular expression instead of line by line and byte by byte.

    Whatever the expression does not take is left to gunicorn's own parser from its first byte on, so that it
    decides what is an error and which.
    """

    def feed(self, data: bytes) -> None:
        """Process data, as ``PythonProtocol.feed`` does."""
        if self._state == "request_line" and not self._buffer:
            head = _HEAD.match(data)
            # A head within the limit of a line has no line beyond it.
            if head is not None and head.end() <= min(self._limit_request_line, self._limit_request_field_size):
                fields = _FIELD.findall(head[4])
                if len(fields) <= self._limit_request_fields:
                    self.method, self.path = head[1], head[2]
                    self.http_version = (1, int(head[3]))
                    self._empty_line_skipped = True
                    self._header_count = len(fields)
                    self._headers_list = [(name.lower(), value.strip(b" \t")) for name, value in fields]
                    self._finalize_headers()
                    data = data[head.end() :]
                    if not data:
                        return
        super().feed(data)
