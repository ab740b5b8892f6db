package frontdoor

import (
	"slices"
	"strings"
	"time"

	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// take gives a person a part in the case, unless the rules keep it apart from
// the part they have. Somebody is known by id and by key: a custodian and an
// operator of one id, or of one key, are one person.
func (st *step) take(person string, key [32]byte, role rules.Role) error {
	bare := strings.TrimPrefix(person, verify.SignerCustodian)
	parts, err := st.q.Parts(st.c.row.ID)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.Person != bare && p.Key != key {
			continue
		}
		if rules.Role(p.Role) == role && p.Person == bare {
			return nil
		}
		return forbidden("separation.one_of", "you have the part "+p.Role+" in this case already; nobody has two", "let somebody else act as "+string(role))
	}
	return st.q.AddPart(st.c.row.ID, frontdoorsql.Part{Person: bare, Key: key, Role: string(role)})
}

// government are the kinds of agency that belong to one chain within a state.
var government = []string{"police", "prosecutor", "court", "security_service", "regulator", "tax", "data_protection"}

// apart returns an error unless a custodian may sit over this case: their
// organisation stands in the register, and is neither the agency that asks nor
// of the same state's government when a government asks.
func (st *step) apart(custodian string, now time.Time) error {
	p, err := st.s.person(st.q, custodian, now)
	if err != nil {
		return err
	}
	if p == nil || p.Role != string(rules.RoleCustodian) {
		return forbidden("separation.custodian_organisation", "the register does not say which organisation this custodian belongs to",
			"have the custodian registered as a person with role custodian, under the id and approval key of the key set")
	}
	asks, err := st.s.agency(st.q, st.c.row.Agency, now)
	if err != nil {
		return err
	}
	if asks == nil {
		return forbidden("guard.agency_verified", "the agency that asks is not in force", "")
	}
	if p.Agency == asks.ID || strings.EqualFold(strings.TrimSpace(p.Organisation), strings.TrimSpace(asks.Name)) {
		return forbidden("separation.custodian_not_of_requester", "a custodian of the agency that asks does not decide its case", "let another custodian decide")
	}
	if p.Agency == "" || !slices.Contains(government, asks.Kind) {
		return nil
	}
	own, err := st.s.agency(st.q, p.Agency, now)
	if err != nil {
		return err
	}
	if own != nil && own.Country == asks.Country && slices.Contains(government, own.Kind) {
		return forbidden("separation.custodian_not_of_requester", "a custodian of the government chain of the agency that asks does not decide its case", "let another custodian decide")
	}
	return nil
}
