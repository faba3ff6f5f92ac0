#!/bin/sh
# Starts Valkey on its append-only file. After a power loss, that may end with an incomplete command, or with zeros where
# the disk had not written yet. Neither was acknowledged, as Valkey answers when the disk has written: the ending is moved
# to a file beside it. Any other damage is left for a person.
set -eu
folder=appendonlydir
manifest=${folder}/appendonly.aof.manifest
most=1048576

# shellcheck disable=SC2016 # They are awk's.
# Reads an ending with r for CR, n for LF and z for zero; succeeds where it is a command (RESP) that is not complete.
incomplete='
{
  rest = $0
  sub(z "+$", "", rest)
  if (rest == "" || rest ~ "^[*][0-9]*" r "?$") exit 0
  if (!match(rest, "^[*][0-9]+" r n)) exit 1
  left = substr(rest, 2) + 0
  for (rest = substr(rest, RLENGTH + 1); rest != ""; left--) {
    if (rest ~ "^[$][0-9]*" r "?$") exit 0
    if (!match(rest, "^[$][0-9]+" r n)) exit 1
    size = substr(rest, 2) + 0
    rest = substr(rest, RLENGTH + 1)
    if (substr(rest, 1, size) ~ "[" r n z "]") exit 1
    if (length(rest) <= size || substr(rest, size + 1) == r) exit 0
    if (substr(rest, size + 1, 2) != r n) exit 1
    rest = substr(rest, size + 3)
  }
  exit left < 1
}'

if [ -e "${manifest}" ] && ! report=$(valkey-check-aof "${manifest}" 2>&1); then
  file=$(sed -n 's/^file \(.*\) seq [0-9]* type i$/\1/p' "${manifest}" | tail -n 1)
  sound=$(echo "${report}" | sed -n "s/^AOF analyzed: filename=${file}, .* ok_up_to=\([0-9]*\),.*/\1/p")
  ending() { tail -c +$((sound + 1)) "${folder}/${file}"; }
  if [ -n "${sound}" ] && size=$(ending | wc -c) && [ "${size}" -le "${most}" ] \
    && ending | tr '\r\n\000' '\001\002\003' | LC_ALL=C awk -v r='\001' -v n='\002' -v z='\003' "${incomplete}"; then
    kept=cut-$(date -u +%Y%m%dT%H%M%SZ).aof
    ending >"${kept}"
    sync "${kept}"
    truncate --size="${sound}" "${folder}/${file}"
    echo "The append-only file ended in an incomplete command, as after a power loss: ${size} unacknowledged bytes were" \
      "moved to ${PWD}/${kept}."
  else
    echo "${report}"
    echo "The append-only file is damaged, and was not changed: docs/runbooks/ValkeyDown.md says how to restore the count."
    exit 1
  fi
fi
exec valkey-server "$@"
