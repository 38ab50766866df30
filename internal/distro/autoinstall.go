package distro

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// The ways in which cloud-init takes user data begin with these.
const (
	cloudConfig   = "#cloud-config"
	jinjaTemplate = "## template:"
	utf8BOM       = "\xef\xbb\xbf"
)

// autoinstallKey finds the key in text that is no plain YAML, such as a template.
var autoinstallKey = regexp.MustCompile(`(?m)^["']?autoinstall["']?\s*:`)

// errNoAutoinstall reports user data that does not make the installer run by itself.
var errNoAutoinstall = errors.New("it has no key autoinstall: at its top level, nor is it what stands below that key")

// userData makes of an answer file what cloud-init reads: user data as it is, with the
// first line that it needs; what stands below autoinstall (the installer's own
// autoinstall.yaml) below that key. notes say what could not be looked at.
func userData(text []byte) (out []byte, notes []string, err error) {
	text = bytes.TrimPrefix(text, []byte(utf8BOM)) // cloud-init takes it for a part of the first line
	plain, err := unzipped(text)
	if err != nil {
		return nil, nil, err
	}
	switch head := string(plain[:min(len(plain), 64)]); {
	case strings.HasPrefix(head, "#include"), strings.HasPrefix(head, "#cloud-config-archive"):
		return text, []string{"the user data takes other files in; whether they have autoinstall: was not looked at"}, nil
	case strings.HasPrefix(head, jinjaTemplate):
		return templated(text, plain)
	case isMIME(plain):
		return text, nil, mimeAutoinstall(plain)
	}
	return yamlAutoinstall(text, plain)
}

// maxUserData bounds what compressed user data may become.
const maxUserData = 16 << 20

// unzipped is the text of user data, which may be compressed.
func unzipped(text []byte) ([]byte, error) {
	if !bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
		return text, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxUserData+1))
	if err == nil && len(plain) > maxUserData {
		err = fmt.Errorf("it unpacks to more than %d bytes", maxUserData)
	}
	return plain, err
}

// templated is a template: its first line names the language and has to stay the first,
// the second says what the rendered text is.
func templated(text, plain []byte) ([]byte, []string, error) {
	if !autoinstallKey.Match(plain) {
		return nil, nil, errNoAutoinstall
	}
	first, rest, _ := bytes.Cut(plain, []byte("\n"))
	if bytes.HasPrefix(rest, []byte(cloudConfig)) {
		return text, nil, nil
	}
	return bytes.Join([][]byte{first, []byte(cloudConfig), rest}, []byte("\n")), nil, nil
}

// yamlAutoinstall looks at plain YAML, JSON included.
func yamlAutoinstall(text, plain []byte) ([]byte, []string, error) {
	var top map[string]any
	parsed := yaml.Unmarshal(plain, &top) == nil
	_, has := top["autoinstall"]
	switch {
	case has || !parsed && autoinstallKey.Match(plain):
		if bytes.HasPrefix(plain, []byte(cloudConfig)) {
			return text, nil, nil
		}
		return append([]byte(cloudConfig+"\n"), plain...), nil, nil
	case parsed && top["version"] != nil:
		return below(plain), nil, nil
	}
	return nil, nil, errNoAutoinstall
}

// below indents a document as the value of autoinstall. Markers of documents and
// directives mean nothing there.
func below(text []byte) []byte {
	out := bytes.NewBufferString(cloudConfig + "\nautoinstall:\n")
	for l := range bytes.Lines(text) {
		switch {
		case bytes.HasPrefix(l, []byte("---")), bytes.HasPrefix(l, []byte("%")), bytes.HasPrefix(l, []byte(cloudConfig)):
		case len(bytes.TrimSpace(l)) == 0:
			out.Write(l)
		default:
			out.WriteString("  ")
			out.Write(l)
		}
	}
	return out.Bytes()
}

// isMIME reports user data in several parts, which begins with headers.
func isMIME(text []byte) bool {
	head := strings.ToLower(string(text[:min(len(text), 32)]))
	return strings.HasPrefix(head, "content-type:") || strings.HasPrefix(head, "mime-version:") || strings.HasPrefix(head, "from ")
}

// mimeAutoinstall looks for the key in the parts of user data.
func mimeAutoinstall(text []byte) error {
	msg, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return err
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(kind, "multipart/") {
		return partAutoinstall(msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		switch {
		case errors.Is(err, io.EOF):
			return errNoAutoinstall
		case err != nil:
			return err
		}
		if partAutoinstall(p.Header.Get("Content-Transfer-Encoding"), p) == nil {
			return nil
		}
	}
}

// partAutoinstall looks for the key in one part.
func partAutoinstall(encoding string, r io.Reader) error {
	switch strings.ToLower(encoding) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxUserData))
	if err != nil {
		return err
	}
	_, _, err = yamlAutoinstall(text, text)
	if err != nil && autoinstallKey.Match(text) {
		return nil // a template, or the like
	}
	return err
}
