#!/bin/sh
# Starts Valkey on its append-only file. After a power loss, that may end with an incomplete command, or with zeros where
# the disk had not written yet. Nobody had an answer for them, as Valkey answers when the disk has written: they are
# moved to a file beside it. Any other damage is left as it is.
set -eu
folder=appendonlydir
manifest=${folder}/appendonly.aof.manifest

if [ -e "${manifest}" ] && ! report=$(valkey-check-aof "${manifest}" 2>&1); then
  file=$(sed -n 's/^file \(.*\) seq [0-9]* type i$/\1/p' "${manifest}" | tail -n 1)
  sound=$(echo "${report}" | sed -n "s/^AOF analyzed: filename=${file}, .* ok_up_to=\([0-9]*\),.*/\1/p")
  ending() { tail -c +$((sound + 1)) "${folder}/${file}"; }

  # A command as RESP has it, up to anywhere, with r for CR, n for LF and z for zero.
  r=$(printf '\001') n=$(printf '\002') z=$(printf '\003')
  length="[0-9]+${r}${n}"
  whole="\\\$${length}[^${r}${n}${z}]*${r}${n}"
  begun="\\\$[0-9]*${r}?|\\\$${length}[^${r}${n}${z}]*${r}?"
  incomplete="\\*[0-9]*${r}?|\\*${length}(${whole})*(${begun})?"

  if [ -n "${sound}" ] && ending | tr '\r\n\000' '\001\002\003' | LC_ALL=C grep -Eqx "(${incomplete})?${z}*"; then
    kept=cut-$(date -u +%Y%m%dT%H%M%SZ).aof
    ending >"${kept}"
    sync "${kept}"
    truncate --size="${sound}" "${folder}/${file}"
    echo "The append-only file ended in the middle of a command, as after a power loss. $(stat --format=%s "${kept}") bytes" \
      "that nobody had an answer for were moved to ${PWD}/${kept}."
  else
    echo "${report}"
    echo "The append-only file is damaged, and not only at its end. It was left as it is:" \
      "docs/runbooks/ValkeyDown.md says how the count is brought back."
    exit 1
  fi
fi
exec valkey-server "$@"
