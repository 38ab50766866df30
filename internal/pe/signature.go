package pe

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// Signature is an Authenticode signature as it describes itself; nothing is
// verified. Err says why it could not be understood, or not wholly.
type Signature struct {
	Off       int64 // of its entry in the file
	Algorithm asn1.ObjectIdentifier
	Digest    []byte // of the program that was signed
	Signers   []Signer
	Err       error
}

// Signer names a certificate that signed.
type Signer struct {
	Name   string // common name; the organization where there is none
	Issuer string // likewise
	Serial string // hexadecimal
}

var (
	oidSHA256     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidIndirect   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
)

const (
	sizeCertHeader = 8
	typePKCS       = 2 // WIN_CERT_TYPE_PKCS_SIGNED_DATA
)

// readCertificates reads the certificate table.
func (b *Binary) readCertificates() error {
	if b.certs.n == 0 {
		return nil
	}
	if b.certs.n > maxTable {
		return formatError(b.certs.off, "certificate table", "", ErrLimit, "%d bytes", b.certs.n)
	}
	raw, err := b.read(b.certs.off, b.certs.n, "certificate table")
	if err != nil {
		return err
	}
	for at := int64(0); b.certs.n-at >= sizeCertHeader; {
		off := b.certs.off + at
		n := int64(binary.LittleEndian.Uint32(raw[at:]))
		if n < sizeCertHeader || n > b.certs.n-at {
			return formatError(off, "certificate table", "length", ErrRange, "%d", n)
		}
		if len(b.Signatures) == maxSignature {
			return formatError(off, "certificate table", "", ErrLimit, "more than %d signatures", maxSignature)
		}
		s := Signature{Off: off}
		if kind := binary.LittleEndian.Uint16(raw[at+6:]); kind != typePKCS {
			s.Err = formatError(off, "certificate table", "type", ErrFormat, "%d", kind)
		} else if err := s.parse(raw[at+sizeCertHeader : at+n]); err != nil {
			s.Err = formatError(off, "signature", "", ErrFormat, "%v", err)
		}
		b.Signatures = append(b.Signatures, s)
		at += (n + 7) &^ 7
	}
	return nil
}

// The structures of PKCS #7 (RFC 2315 9.1) and of Authenticode in it, as far as
// they are needed. What is left over behind them is padding.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Algorithms   asn1.RawValue
	Content      contentInfo
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	Lists        asn1.RawValue `asn1:"optional,tag:1"`
	Signers      asn1.RawValue
}

type indirectData struct {
	Data   asn1.RawValue
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
}

type signerInfo struct {
	Version int
	ID      struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
}

type certificate struct {
	TBS struct {
		Version   int `asn1:"optional,explicit,default:0,tag:0"`
		Serial    *big.Int
		Algorithm asn1.RawValue
		Issuer    asn1.RawValue
		Validity  asn1.RawValue
		Subject   asn1.RawValue
	}
}

// parse takes a signature apart.
func (s *Signature) parse(der []byte) error {
	var info contentInfo
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return err
	}
	if !info.Type.Equal(oidSignedData) {
		return fmt.Errorf("content is %s, no signed data", info.Type)
	}
	var signed signedData
	if _, err := asn1.Unmarshal(info.Content.Bytes, &signed); err != nil {
		return fmt.Errorf("signed data: %w", err)
	}
	if !signed.Content.Type.Equal(oidIndirect) {
		return fmt.Errorf("signed is %s, no program", signed.Content.Type)
	}
	var of indirectData
	if _, err := asn1.Unmarshal(signed.Content.Content.Bytes, &of); err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	s.Algorithm, s.Digest = of.Digest.Algorithm.Algorithm, of.Digest.Digest
	return s.parseSigners(signed)
}

// parseSigners names the signers; a certificate that is missing or broken
// leaves the name of its issuer.
func (s *Signature) parseSigners(signed signedData) error {
	names := map[string]string{}
	for _, raw := range sequence(signed.Certificates.Bytes) {
		var c certificate
		if _, err := asn1.Unmarshal(raw, &c); err != nil {
			continue
		}
		names[string(c.TBS.Issuer.FullBytes)+c.TBS.Serial.String()] = commonName(c.TBS.Subject.FullBytes)
	}
	for _, raw := range sequence(signed.Signers.Bytes) {
		var i signerInfo
		if _, err := asn1.Unmarshal(raw, &i); err != nil {
			return fmt.Errorf("signer: %w", err)
		}
		id := string(i.ID.Issuer.FullBytes) + i.ID.Serial.String()
		s.Signers = append(s.Signers, Signer{names[id], commonName(i.ID.Issuer.FullBytes), fmt.Sprintf("%x", i.ID.Serial)})
	}
	if len(s.Signers) == 0 {
		return errors.New("no signer")
	}
	return nil
}

// sequence returns the elements of a constructed value, up to one that is none.
func sequence(der []byte) (out [][]byte) {
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return out
		}
		out = append(out, v.FullBytes)
		der = rest
	}
	return out
}

// commonName returns the name that people know a certificate by, "" without one.
func commonName(der []byte) string {
	var rdn pkix.RDNSequence
	if _, err := asn1.Unmarshal(der, &rdn); err != nil {
		return ""
	}
	var name pkix.Name
	name.FillFromRDNSequence(&rdn)
	if name.CommonName == "" && len(name.Organization) > 0 {
		return name.Organization[0]
	}
	return name.CommonName
}
