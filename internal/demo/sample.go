package demo

import (
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// SamplePeople is how many people of each country the synthetic sample has.
const SamplePeople = 100

// sampleNames are common given and family names; no combination is meant to
// be a real person.
var sampleNames = []struct {
	country       string
	given, family string
	familyFirst   bool
	area          string
}{
	{"CN", "伟 芳 娜 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀英 霞 平", "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗", true, "北京市 上海市 广东省 四川省 福建省"},
	{"DE", "Jürgen Käthe Björn Anneliese Günther Heike Lukas Sören Mia Jörg", "Müller Schäfer Weiß Köhler Grünwald Schröder Böhm Vogel Krämer Günther", false, "Bayern Sachsen Thüringen Hessen"},
	{"FR", "Élodie François Zoé Benoît Hélène Loïc Chloé Gaël Noémie Jérôme", "Lefèvre Desprès Muñoz Bérenger Crépin Garçon Béranger Hénault Rémy Façade", false, "Bretagne Île-de-France Occitanie"},
	{"GB", "Oliver Siobhán Harry Niamh George Aoife Alfie Bronwyn Rhys Isla", "Smith O'Neill MacGregor Davies Llewellyn Bell-Scott Patel Wright Hughes Okafor", false, "Leeds Cardiff Glasgow Belfast"},
	{"IN", "Śrīnivāsa आरव Ananya Ādityā Kṛṣṇa प्रिया Rāhul Mīrā Arjun Lakṣmī", "शर्मा Reḍḍi Iyer Pāṭīl Gupta Nāyar Siṃha Bose Choudhary Ayyaṅgār", false, "Kerala Gujarat महाराष्ट्र"},
	{"BR", "João Conceição Luís Antônia Vinícius Flávia Simão Inês Davi Letícia", "Araújo Gonçalves Magalhães Simões Falcão Brandão Assunção Nóbrega Leitão Prado", false, "Bahia Ceará São Paulo"},
	{"US", "Liam Emma Noah Ava José Zoë William Renée Ethan Chloë", "Johnson Nuñez Garcia Washington Lee O'Brien Nguyễn Kowalski Peña Turner", false, "Ohio Texas Oregon"},
	{"RU", "Иван Мария Дмитрий Ольга Сергей Наталья Фёдор Елена Пётр Алёна", "Иванов Смирнова Кузнецов Попова Соколов Лебедева Козлов Новикова Морозов Фёдорова", false, "Москва Казань Тверь"},
}

// writeSample writes a synthetic file of people with the columns that the
// demo's map knows. It is the same each time.
func writeSample(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write(strings.Split("person_id,country,full_name,sort_name,email,phone,twitter,party,area,birth_date,gender,postal_address", ","))
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a repeatable sample, no secret
	pick := func(s string) string {
		f := strings.Fields(s)
		return f[rng.IntN(len(f))]
	}
	for _, n := range sampleNames {
		for i := range SamplePeople {
			given, family := pick(n.given), pick(n.family)
			full, sort := given+" "+family, family+", "+given
			if n.familyFirst {
				full, sort = family+given, family+given
			}
			id := fmt.Sprintf("sample-%s-%04d", strings.ToLower(n.country), i)
			_ = c.Write([]string{
				id, n.country, full, sort, fmt.Sprintf("person%d.%s@sample.example", i, strings.ToLower(n.country)),
				fmt.Sprintf("+1 555 %03d %04d", i, rng.IntN(10000)), "", "unknown", pick(n.area),
				fmt.Sprintf("19%02d-%02d-%02d", 30+rng.IntN(70), 1+rng.IntN(12), 1+rng.IntN(28)), "", fmt.Sprintf("%d Sample Street, Unit %d", 1+rng.IntN(900), i),
			})
		}
	}
	c.Flush()
	return c.Error()
}
