#!/bin/bash
# Scenarios of transactions, part of ./run: kcat puts all of its input into one transaction, which the end of the input
# commits and a signal aborts.

# begin NAME SETTINGS...: a producer in a transaction, with NAME.in for its input; ended by commit or abort.
begin() {
  local name=$1 fd
  shift
  rm -f "$name.in"
  mkfifo "$name.in"
  (
    # Another's input must end when it is closed here.
    for fd in "${input[@]}"; do exec {fd}>&-; done
    exec kcat -P -b "$bootstrap" -t "$topic" -K: -vvv -X "transactional.id=$topic" "$@" \
      <"$name.in" >"$name.out" 2>"$name.err"
  ) &
  member[$name]=$!
  exec {fd}>"$name.in"
  input[$name]=$fd
  # Before that a signal ends it without a word to the broker.
  until_true "the producer" grep -q 'input buffer' "$name.err"
}
# say NAME KEY...: a record for each key. kcat reads its input in blocks, so each record fills one.
say() {
  local name=$1 key
  shift
  for key; do printf '%s:%*s\n' "$key" $((1024 - ${#key} - 2)) "of $key"; done >&"${input[$name]}"
}
close_input() { local fd=${input[$1]}; exec {fd}>&-; }
commit() { close_input "$1"; wait "${member[$1]}"; }
# Its records must have been sent, as kcat reports an end before its last record otherwise.
abort() { kill "${member[$1]}"; close_input "$1"; wait "${member[$1]}"; }
# read_topic ISOLATION: all partitions, a line PARTITION OFFSET KEY for each record.
read_topic() {
  timeout "$timeout_s" kcat -C -q -e -b "$bootstrap" -t "$topic" -f '%p %o %k\n' -X "isolation.level=$1" |
    sort -n -k1,1 -k2,2
}
has_sent() { [ "$(read_topic read_uncommitted | wc -l)" = "$1" ]; }
delivered_to() { sed -n 's/.*delivered to partition \([0-9]*\) (offset \([0-9]*\)).*/\1 \2/p' "$1.err"; }

# Where the client puts a record it says without its key: places and keys are compared, and the order of each partition.
found() {
  local isolation=$1 expected=$2
  read_topic "$isolation" >found
  sort -n "keys.$expected" | cmp - <(cut -d' ' -f3 found | sort -n) || fail "other records are $isolation"
  sort -n -k1,1 -k2,2 "places.$expected" | cmp - <(cut -d' ' -f1,2 found) || fail "records are elsewhere for $isolation"
  sort -n -k1,1 -k3,3 found | cmp - found || fail "records are not in order for $isolation"
}

transactions() {
  new_topic
  local size commits=true count=0 keys
  : >keys.sent; : >keys.committed; : >places.sent; : >places.committed
  for size in 1 100 100 1 0 0 37 12 50 7; do
    begin writer
    mapfile -t keys < <(seq "$count" $((count + size - 1)))
    count=$((count + size))
    say writer "${keys[@]}"
    until_true "what was sent" has_sent "$count"
    if $commits; then commit writer; else abort writer; fi || fail "the transaction ended with $?"
    printf '%s\n' "${keys[@]}" | sed '/^$/d' | tee -a keys.sent >>keys."$($commits && echo committed || echo aborted)"
    delivered_to writer | tee -a places.sent >>places."$($commits && echo committed || echo aborted)"
    if $commits; then commits=false; else commits=true; fi
  done
  found read_uncommitted sent
  found read_committed committed
  hide commit "inside outside"
  hide abort "outside"
}

nothing_is_open() { [ "$(end_of read_committed)" = "$(end_of read_uncommitted)" ]; }
end_of() { offset_at -1 -X "isolation.level=$1"; }
# wait_at NAME OFFSET ISOLATION: reads partition 0 from an offset, with fetches that wait long.
wait_at() {
  kcat -C -u -q -b "$bootstrap" -t "$topic" -p 0 -o "$2" -f '%k\n' -X fetch.wait.max.ms=20000 -X "isolation.level=$3" \
    >"$1.out" 2>"$1.err" &
  member[$1]=$!
}
# What readers at the end see of a transaction and of a record outside that comes after it.
hide() {
  local end ended_us passed_us
  # The end of a transaction is answered before its markers are written.
  until_true "the last markers" nothing_is_open
  end=$(end_of read_uncommitted)
  wait_at all "$end" read_uncommitted
  wait_at decided "$end" read_committed
  begin writer -p 0
  say writer inside
  until_true "the record inside" lines all.out 1
  echo outside:outside >one; write 0 one
  until_true "the record outside" lines all.out 2
  expect "all" "$(echo $(<all.out))" "inside outside"
  expect "the end" "$(end_of read_uncommitted)" $((end + 2))
  expect "the end of what is decided" "$(end_of read_committed)" "$end"
  sleep 0.3
  expect "what is decided" "$(<decided.out)" ""
  ended_us=${EPOCHREALTIME/./}
  "$1" writer || fail "the transaction ended with $?"
  until_true "what is decided" lines decided.out "$(wc -w <<<"$2")"
  passed_us=$((${EPOCHREALTIME/./} - ended_us))
  [ "$passed_us" -lt 5000000 ] || fail "what is decided came after $passed_us us"
  expect "decided" "$(echo $(<decided.out))" "$2"
  expect "the end of what is decided" "$(end_of read_committed)" $((end + 3))
  leave all; leave decided
}

# fenced NAME: it ends, and says why.
fenced() {
  if wait "${member[$1]}"; then fail "$1 was not fenced"; fi
  grep -q 'fenced by a newer instance' "$1.err" || fail "$(cat "$1.err")"
}

fencing() {
  new_topic
  wait_at reader 0 read_committed
  local way
  for way in send end; do
    begin first -p 0
    say first "left-open-$way"
    until_true "what is open" open_of "left-open-$way"
    begin second -p 0
    say second "second-$way"
    until_true "what comes after it" open_of "second-$way"
    [ "$way" = end ] || say first late
    close_input first
    fenced first
    commit second || fail "the second ended with $?"
    until_true "what is committed" grep -qx "second-$way" reader.out
  done
  expect "what is committed" "$(echo $(<reader.out))" "second-send second-end"
}
open_of() { read_topic read_uncommitted | grep -q " $1$"; }

time_out() {
  new_topic
  local beyond=(-X "transactional.id=$topic" -X transaction.timeout.ms=900001)
  if kcat -P -b "$bootstrap" -t "$topic" "${beyond[@]}" </dev/null 2>refused.err; then
    fail "a timeout beyond the maximum was taken"
  fi
  grep -q 'timeout is larger than the maximum' refused.err || fail "$(cat refused.err)"
  wait_at reader 0 read_committed
  begin slow -p 0 -X transaction.timeout.ms=1000
  say slow late
  until_true "what is open" open_of late
  echo outside:outside >one; write 0 one
  until_true "the record outside" lines reader.out 1
  expect "what is committed" "$(<reader.out)" outside
  close_input slow
  fenced slow
}
