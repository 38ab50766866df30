package fault

import "testing"

// TestFork: a fork counts on from its budget, which is charged for it in the end, whole or not
// at all.
func TestFork(t *testing.T) {
	b := NewBudget(0, Limits{Records: 10, TreeBytes: 100})
	for _, err := range []error{b.Record(4), b.Directory(60)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f, g := b.Fork(), b.Fork()
	if f.Record(7) == nil || f.Record(6) != nil || g.Record(3) != nil || g.Directory(40) != nil {
		t.Fatal("a fork has another limit than what is left")
	}
	if b.records.Load() != 4 {
		t.Error("a fork charges its budget at once")
	}
	if !g.Join() || b.records.Load() != 7 || b.treeBytes.Load() != 100 {
		t.Errorf("after a fork: %d records, %d bytes", b.records.Load(), b.treeBytes.Load())
	}
	if f.Join() || b.records.Load() != 7 {
		t.Errorf("more was taken than is left: %d records", b.records.Load())
	}
	h := b.Fork()
	if h.Record(3) != nil {
		t.Fatal("three records are left")
	}
	if err := b.Directory(0); err != nil {
		t.Fatal(err)
	}
	b.treeBytes.Store(0)
	if err := h.Directory(1); err == nil {
		t.Error("a fork has what its budget got later")
	}
	if !h.Join() || b.records.Load() != 10 {
		t.Errorf("%d records", b.records.Load())
	}
}
