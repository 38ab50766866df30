package verify_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest/hostile"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/verify"
)

// FuzzProgram checks small images of which structures were changed, see hostile.Program:
// no panic, no run without end, little memory, and an image that the checks find nothing
// wrong with can be read.
func FuzzProgram(f *testing.F) {
	bases := hostile.Bases()
	for i, b := range bases {
		for field := 0; field < hostile.Fields(b.Image); field += 29 {
			for op := range hostile.Op(6) {
				f.Add([]byte(hostile.Encode(i, hostile.AllFixups(), hostile.Step{Op: op, Field: field, Kind: hostile.Like, Value: uint32(field)})))
			}
		}
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 200 {
			return
		}
		m := hostile.Program(program).Run(bases)
		guard := time.AfterFunc(5*time.Second, func() { panic(fmt.Sprint("one input takes more than five seconds: ", hostile.Program(program))) })
		defer guard.Stop()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		report, err := verify.Image(t.Context(), bytes.NewReader(m), int64(len(m)), verify.Options{})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%v: %d MiB are allocated", hostile.Program(program), n>>20)
		}
		if err != nil {
			return
		}
		img, err := iso9660.Open(bytes.NewReader(m), int64(len(m)), iso9660.Options{})
		if err == nil {
			_, err = tree.FromImage(img)
		}
		if err != nil && report.Problems() == 0 {
			t.Errorf("%v: nothing is wrong with it, but %v", hostile.Program(program), err)
		}
	})
}
