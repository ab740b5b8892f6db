package notice

import (
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"bonded"
)

// dictionaries hold the names of countries, by language of a catalogue.
var dictionaries = map[string]*display.Dictionary{
	"de": display.German, "en": display.English, "es": display.Spanish, "fr": display.French,
	"pt": display.Portuguese, "ru": display.Russian, "zh": display.SimplifiedChinese,
}

// renamed holds the names of countries that changed after CLDR 32, the state
// of golang.org/x/text: Eswatini in 2018, North Macedonia in 2019.
var renamed = map[bonded.Jurisdiction]map[string]string{
	"SZ": {"de": "Eswatini", "en": "Eswatini", "es": "Esuatini", "fr": "Eswatini", "pt": "Essuatíni", "ru": "Эсватини", "zh": "斯威士兰"},
	"MK": {
		"de": "Nordmazedonien", "en": "North Macedonia", "es": "Macedonia del Norte", "fr": "Macédoine du Nord",
		"pt": "Macedônia do Norte", "ru": "Северная Македония", "zh": "北马其顿",
	},
}

// countryName returns the name of a country or of the EU in the language of a
// catalogue, "" if it has none.
func countryName(lang string, j bonded.Jurisdiction) string {
	if name, ok := renamed[j][lang]; ok {
		return name
	}
	region, err := language.ParseRegion(string(j))
	if err != nil || !j.Valid() || !region.IsCountry() && j != "EU" {
		return ""
	}
	return dictionaries[lang].Regions().Name(region)
}
