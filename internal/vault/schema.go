package vault

import (
	"encoding/json"
	"fmt"
	"slices"

	"bonded"
	"bonded/internal/normal"
	"bonded/internal/yamlstrict"
)

// Limits of a schema.
const (
	MaxCollections = 1000 // collections of one cell
	MaxFields      = 256  // fields of one collection
)

// A Class says how strictly law treats a field.
type Class string

// Classes.
const (
	ClassPersonal  Class = "personal"
	ClassSensitive Class = "sensitive"
	ClassAnonymous Class = "anonymous" // says nothing about a person; sealed all the same
)

// strength orders classes: a field may become stricter, never laxer.
func (c Class) strength() int {
	return slices.Index([]Class{ClassAnonymous, ClassPersonal, ClassSensitive}, c)
}

// A Type is what the values of a field are.
type Type string

// Types.
const (
	TypeString  Type = "string"
	TypeInteger Type = "integer" // 64 bits, signed
	TypeNumber  Type = "number"  // any JSON number, kept as it was written
	TypeBoolean Type = "boolean"
	TypeDate    Type = "date" // YYYY-MM-DD
	TypeJSON    Type = "json" // any JSON value but null
)

// Custodies: who must agree before a field opens.
const (
	CustodyTwoLock = "two-lock"
	CustodyQuorum  = "quorum" // never opens in a daily read: only a case does, under a quorum of custodians
)

// A Schema is every collection of a cell.
type Schema struct {
	Collections map[string]*Collection `yaml:"collections" required:"true"`
}

// A Collection is one kind of record.
type Collection struct {
	Name      string            `yaml:"-" json:"-"`
	ID        uint16            `yaml:"-" json:"-"` // stored number, from 1; given by the [Store]
	Fields    map[string]*Field `yaml:"fields" json:"fields" required:"true"`
	Purposes  []bonded.Purpose  `yaml:"purposes" json:"purposes,omitempty"`  // purposes any field may be opened for; none means policy alone decides
	Retention Period            `yaml:"retention" json:"retention,omitzero"` // of a record, from its creation; zero keeps it until it is erased

	byID []*Field // by stored number
}

// A Field is one column of a collection.
type Field struct {
	Name       string           `yaml:"-" json:"-"`
	ID         uint16           `yaml:"-" json:"-"` // stored number within the cell, from 1
	Type       Type             `yaml:"type" json:"type" required:"true"`
	Class      Class            `yaml:"class" json:"class" required:"true"`
	Custody    string           `yaml:"custody" json:"custody,omitempty"` // absent means two-lock
	Index      string           `yaml:"index" json:"index,omitempty"`     // "none" or a normaliser, see [normal.Parse]; absent means none
	Mask       string           `yaml:"mask" json:"mask,omitempty"`       // see [ParseMask]; absent means all
	Purposes   []bonded.Purpose `yaml:"purposes" json:"purposes,omitempty"`
	Retention  Period           `yaml:"retention" json:"retention,omitzero"` // of the value, from its last write
	normaliser normal.Normaliser
	mask       Mask
}

// Indexed reports whether f can be searched by equality.
func (f *Field) Indexed() bool { return !f.normaliser.IsZero() }

// LoadSchema reads a schema file. Errors are [bonded.Error]s with code
// bad_config whose Field is name:line:column.
func LoadSchema(name string, data []byte) (*Schema, error) {
	s := new(Schema)
	if err := yamlstrict.Decode(name, data, s); err != nil {
		return nil, fmt.Errorf("load schema: %w", err)
	}
	for n, c := range s.Collections {
		c.Name = n
		for fn, f := range c.Fields {
			f.Name = fn
		}
	}
	return s, nil
}

// Validate checks the names of the collections.
func (s *Schema) Validate() error {
	if len(s.Collections) == 0 || len(s.Collections) > MaxCollections {
		return configError("collections", fmt.Sprintf("a schema has 1 to %d collections", MaxCollections), "")
	}
	for n, c := range s.Collections {
		if !bonded.ValidName(n) {
			return configError(n, "not a name for a collection", nameHint)
		}
		if c == nil {
			return configError(n, "collection is empty", "give it fields")
		}
	}
	return nil
}

const nameHint = "use up to 64 characters a–z, 0–9, '_', '-' and '.', beginning with a letter"

// Validate checks the names of the fields and the purposes.
func (c *Collection) Validate() error {
	if len(c.Fields) == 0 || len(c.Fields) > MaxFields {
		return configError("fields", fmt.Sprintf("a collection has 1 to %d fields", MaxFields), "")
	}
	for n, f := range c.Fields {
		if !bonded.ValidName(n) {
			return configError(n, "not a name for a field", nameHint)
		}
		if f == nil {
			return configError(n, "field is empty", "give it a type and a class")
		}
	}
	return checkPurposes(c.Purposes)
}

// Validate checks f and prepares its normaliser and mask.
func (f *Field) Validate() error {
	if !slices.Contains([]Type{TypeString, TypeInteger, TypeNumber, TypeBoolean, TypeDate, TypeJSON}, f.Type) {
		return configError("type", "unknown type", "use string, integer, number, boolean, date or json")
	}
	if f.Class.strength() < 0 {
		return configError("class", "unknown class", "use personal, sensitive or anonymous")
	}
	switch f.Custody {
	case "":
		f.Custody = CustodyTwoLock
	case CustodyTwoLock, CustodyQuorum:
	default:
		return configError("custody", "unknown custody", "use two-lock or quorum")
	}
	if f.Index != "" && f.Index != "none" {
		n, err := normal.Parse(f.Index)
		if err != nil {
			return configError("index", "unknown normaliser", "use none, exact, nfkc, email, phone, phone:CN, digits or date")
		}
		if f.Type == TypeJSON || f.Type == TypeNumber {
			return configError("index", "a field of this type has no equality to search by", "index string, integer, boolean or date fields")
		}
		f.normaliser = n
	}
	mask, err := ParseMask(f.Mask)
	if err != nil {
		return err
	}
	f.mask = mask
	return checkPurposes(f.Purposes)
}

func checkPurposes(ps []bonded.Purpose) error {
	for _, p := range ps {
		if !p.Valid() {
			return configError("purposes", "not a purpose", nameHint)
		}
	}
	return nil
}

func configError(field, message, hint string) *bonded.Error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
}

// Encode returns c as it is stored, so that a later schema can be held
// against it.
func (c *Collection) Encode() ([]byte, error) { return json.Marshal(c) }

// DecodeCollection reads what [Collection.Encode] wrote.
func DecodeCollection(name string, b []byte) (*Collection, error) {
	c := &Collection{Name: name}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("decode collection %s: %w", name, err)
	}
	for n, f := range c.Fields {
		f.Name = n
		if err := f.Validate(); err != nil {
			return nil, fmt.Errorf("decode collection %s: %w", name, err)
		}
	}
	return c, nil
}

// CheckSuccessor reports why next must not follow c, which has data: a field
// removed, of another type, another index, a laxer class, or no longer in
// custody of a quorum. Fields may be
// added; masks, purposes and retention may change and hold from then on.
// Errors are [bonded.Error]s with code bad_config.
func (c *Collection) CheckSuccessor(next *Collection) error {
	for _, name := range sortedNames(c.Fields) {
		old, now := c.Fields[name], next.Fields[name]
		at := "collections." + c.Name + ".fields." + name
		switch {
		case now == nil:
			return configError(at, "field removed from a collection that has data", "keep the field; stop writing it instead")
		case now.Type != old.Type:
			return configError(at+".type", fmt.Sprintf("type changed from %s to %s in a collection that has data", old.Type, now.Type), "add a field under another name")
		case now.Class.strength() < old.Class.strength():
			return configError(at+".class", fmt.Sprintf("class changed from %s to the laxer %s in a collection that has data", old.Class, now.Class), "keep the class")
		case old.Custody == CustodyQuorum && now.Custody != CustodyQuorum:
			return configError(at+".custody", "custody changed from quorum in a collection that has data: what is stored would not open", "keep the custody, or add a field under another name")
		case now.normaliser.String() != old.normaliser.String():
			return configError(at+".index", "index changed in a collection that has data: what is stored would not be found", "add a field under another name with the new index")
		}
	}
	return nil
}

// quorumField returns the name of a field in custody of a quorum, or false.
func (s *Schema) quorumField() (string, bool) {
	for _, n := range sortedNames(s.Collections) {
		c := s.Collections[n]
		for _, fn := range sortedNames(c.Fields) {
			if c.Fields[fn].Custody == CustodyQuorum {
				return n + ".fields." + fn, true
			}
		}
	}
	return "", false
}

// Finish orders the fields of every collection by their stored numbers. The
// [Store] calls it once the numbers are known.
func (s *Schema) Finish() {
	for _, c := range s.Collections {
		c.byID = c.byID[:0]
		for _, f := range c.Fields {
			c.byID = append(c.byID, f)
		}
		slices.SortFunc(c.byID, func(a, b *Field) int { return int(a.ID) - int(b.ID) })
	}
}

// field returns the field with a stored number, or nil.
func (c *Collection) field(id uint16) *Field {
	i, ok := slices.BinarySearchFunc(c.byID, id, func(f *Field, id uint16) int { return int(f.ID) - int(id) })
	if !ok {
		return nil
	}
	return c.byID[i]
}

// collectionByID returns the collection with a stored number, or nil.
func (s *Schema) collectionByID(id uint16) *Collection {
	for _, c := range s.Collections {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func sortedNames[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// FieldNames returns the names of the fields of c in order.
func FieldNames(c *Collection) []string { return sortedNames(c.Fields) }

// purposes returns every purpose the schema names.
func (s *Schema) purposes() map[bonded.Purpose]bool {
	all := make(map[bonded.Purpose]bool)
	for _, c := range s.Collections {
		for _, p := range c.Purposes {
			all[p] = true
		}
		for _, f := range c.Fields {
			for _, p := range f.Purposes {
				all[p] = true
			}
		}
	}
	return all
}
