// Command serve serves images that are written nowhere: after serve BASE ADDRESS,
// http://ADDRESS/HOST.iso has the name of the host in /hostname.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
)

func main() {
	flag.Parse()
	base, err := isolayer.Open(context.Background(), flag.Arg(0), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	slot := extent.NewSlot("host name", 64) // planned once, filled in for each host
	image, err := base.Build(context.Background(), []edit.Step{edit.Put{Path: "/hostname", Source: slot}}, isolayer.BuildOptions{MediaCheck: isolayer.MediaStrip})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(flag.Arg(1), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), ".iso")
		variant, err := image.With(map[*extent.Slot][]byte{slot: fmt.Appendf(nil, "%-63s\n", host)})
		if err != nil { // the name is too long
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(variant, 0, variant.Size()))
	})))
}
