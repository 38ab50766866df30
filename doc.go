// Package isolayer makes changed ISO images out of existing ones: a read-only
// base, ordered steps of change, and an image that is a plan until its bytes
// are needed.
//
//	base, err := isolayer.Open(ctx, "base.iso", isolayer.OpenOptions{})
//	if err != nil {
//		return err
//	}
//	defer base.Close()
//	image, err := base.Build(ctx, []edit.Step{edit.Add{Source: "ks.cfg"}}, isolayer.BuildOptions{})
//	if err != nil {
//		return err
//	}
//	defer image.Close()
//	_, err = image.WriteFile(ctx, "out.iso", sink.Options{})
//	return err
//
// Steps are data, in package edit. An image is written by package sink, or read like any
// [io.ReaderAt], without having been written anywhere. New images are made by [Master], and
// those that an Isofile states by [BuildIsofile].
//
// # What version 0 promises
//
// Names of this package and of packages edit, extent and sink may change with a minor
// version, and the change log says so. Images, layers and Isofiles stay readable, and one
// version makes the same image of the same input again, byte for byte.
package isolayer
