package notice

// Languages are those of the catalogues.
var Languages = languages

// An Entry is one text of a catalogue.
type Entry struct {
	Name, Text   string
	Placeholders []string
}

// Entries returns every text of a catalogue.
func Entries(lang string) ([]Entry, error) {
	all, err := catalogues()
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, e := range all[lang].entries() {
		out = append(out, Entry{e.name, e.text, e.placeholders})
	}
	return out, nil
}

// PluralForms returns the forms a language has.
func PluralForms(lang string) ([]string, error) {
	all, err := catalogues()
	if err != nil {
		return nil, err
	}
	return pluralForms(all[lang].lang), nil
}

// CountryName returns the name of a country.
var CountryName = countryName

// ReadSecret reads a secret file.
var ReadSecret = readSecret
