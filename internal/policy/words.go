package policy

import (
	"encoding/json"
	"slices"

	"github.com/cedar-policy/cedar-go"

	"bonded"
	"bonded/internal/nearest"
)

// checkWords refuses a policy that names an operation or an attribute that
// does not exist: it would never match, and a forbid that never matches is a
// hole nobody sees.
func checkWords(p *cedar.Policy) *bonded.Error {
	text, err := p.MarshalJSON()
	if err != nil {
		return bonded.Wrap(bonded.CodeConfig, err, "not readable")
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return bonded.Wrap(bonded.CodeConfig, err, "not readable")
	}
	return checkNode(tree)
}

func checkNode(node any) *bonded.Error {
	switch n := node.(type) {
	case []any:
		for _, v := range n {
			if err := checkNode(v); err != nil {
				return err
			}
		}
	case map[string]any:
		if err := checkEntity(n); err != nil {
			return err
		}
		for _, operator := range []string{".", "has"} {
			if access, ok := n[operator].(map[string]any); ok {
				if err := checkAttribute(access); err != nil {
					return err
				}
			}
		}
		for _, v := range n {
			if err := checkNode(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkEntity looks at {"type": "Action", "id": "read"} and at
// {"entity_type": "Principal"}.
func checkEntity(n map[string]any) *bonded.Error {
	kind, ok := n["type"].(string)
	id, isEntity := n["id"].(string)
	test, isTest := n["entity_type"].(string)
	if isTest { // principal is Principal
		kind, ok, isEntity = test, true, true
	}
	if !ok || !isEntity {
		return nil
	}
	kinds := []string{"Action", "Cell", "Collection", "Principal", "Role"}
	if !slices.Contains(kinds, kind) {
		return &bonded.Error{Message: "unknown kind of entity", Hint: nearest.Hint(kind, kinds)}
	}
	if known := append(Operations(), "opening"); kind == "Action" && !isTest && !slices.Contains(known, id) {
		return &bonded.Error{Message: "unknown operation " + id, Hint: nearest.Hint(id, known)}
	}
	return nil
}

// checkAttribute looks at {"left": {"Var": "context"}, "attr": "purpose"}.
func checkAttribute(access map[string]any) *bonded.Error {
	left, _ := access["left"].(map[string]any)
	attribute, _ := access["attr"].(string)
	variable, _ := left["Var"].(string)
	known := map[string][]string{"principal": principalAttributes, "context": contextAttributes, "action": {}, "resource": {}}[variable]
	if variable == "" || slices.Contains(known, attribute) {
		return nil
	}
	return &bonded.Error{Message: variable + " has no attribute " + attribute, Hint: nearest.Hint(attribute, known)}
}
