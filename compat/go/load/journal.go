package load

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// Journal has the lines that ../../checker/journal.rs describes.
type Journal struct{ file *os.File }

func create(path string) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o644)
	return &Journal{file}, err
}

// Now is CLOCK_MONOTONIC, which the package time keeps to itself.
func Now() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}

// append is one write, so that a killed process loses nothing but a torn last line. What a member would do without its
// journal could not be judged.
func (j *Journal) append(format string, arguments ...any) {
	if _, err := j.file.WriteString(fmt.Sprintf(format, arguments...) + "\n"); err != nil {
		panic(err)
	}
}

func (j *Journal) Assigned(partitions []int32) { j.append("assigned %d%s", Now(), numbers(partitions)) }

func (j *Journal) Revoked(partitions []int32) { j.append("revoked %d%s", Now(), numbers(partitions)) }

func (j *Journal) Delivered(partition int32, offset int64, value []byte) {
	j.append("delivered %d %d %s", partition, offset, oneWord(value))
}

// Committed is written when the answer has come; sentNs is 0 where the client does not say.
func (j *Journal) Committed(sentNs int64, offsets map[int32]int64) {
	j.append("committed %d %d%s", sentNs, Now(), pairs(offsets))
}

// Read is written when the answer has come.
func (j *Journal) Read(beganNs int64, offsets map[int32]int64) {
	j.append("read %d %d%s", beganNs, Now(), pairs(offsets))
}

func (j *Journal) Note(what string, err error) { j.append("note %s: %s", what, oneLine(err)) }

func (j *Journal) fail(err error) { j.append("error %s", oneLine(err)) }

func numbers(partitions []int32) string {
	var text strings.Builder
	for _, partition := range partitions {
		fmt.Fprintf(&text, " %d", partition)
	}
	return text.String()
}

func pairs(offsets map[int32]int64) string {
	var text strings.Builder
	for _, partition := range slices.Sorted(maps.Keys(offsets)) {
		fmt.Fprintf(&text, " %d:%d", partition, offsets[partition])
	}
	return text.String()
}

func oneLine(err error) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(err.Error()) }

func oneWord(value []byte) string {
	if len(value) == 0 {
		return "?"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return '?'
		}
		return r
	}, string(value))
}
