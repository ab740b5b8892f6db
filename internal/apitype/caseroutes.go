package apitype

// A CaseRoute is one endpoint of the front door. Persons prove each call with
// [HeaderPerson]; the public ones ask for nobody.
type CaseRoute struct {
	Method  string
	Path    string
	Name    string // operationId
	Summary string
	Public  bool
	Takes   string // media type of the body; empty: none
	Gives   string // media type of the answer
}

const (
	mediaJSON    = "application/json"
	mediaOctets  = "application/octet-stream"
	mediaPackage = "application/vnd.bonded.package"
)

// CaseRoutes is every endpoint of the front door.
var CaseRoutes = []CaseRoute{
	{"POST", "/v1/cases", "caseFile", "File a request, signed by the officer", false, mediaJSON, mediaJSON},
	{"GET", "/v1/cases", "caseList", "Page through the cases that concern the caller", false, "", mediaJSON},
	{"GET", "/v1/cases/{id}", "caseShow", "Show a case", false, "", mediaJSON},
	{"POST", "/v1/cases/{id}/documents/{sha256}", "caseDocumentPut", "Upload a document that the request names", false, mediaOctets, mediaJSON},
	{"GET", "/v1/cases/{id}/documents/{sha256}", "caseDocument", "Read a document", false, "", mediaOctets},
	{"POST", "/v1/cases/{id}/decisions", "caseDecide", "Act on a case by a signed decision", false, mediaJSON, mediaJSON},
	{"GET", "/v1/cases/{id}/dossier", "caseDossier", "Get all that a custodian verifies before signing", false, "", mediaJSON},
	{"GET", "/v1/cases/{id}/scope", "caseScope", "Page through the items of a scope with their quorum envelopes", false, "", mediaJSON},
	{"POST", "/v1/cases/{id}/approvals", "caseApprove", "Approve or refuse a scope as a custodian", false, mediaJSON, mediaJSON},
	{"GET", "/v1/cases/{id}/opening", "caseOpening", "Get the proof that the opening is entered and witnessed", false, "", mediaJSON},
	{"POST", "/v1/cases/{id}/partials", "casePartials", "Hand in a custodian's partial decryptions", false, mediaJSON, mediaJSON},
	{"GET", "/v1/cases/{id}/package", "casePackage", "Fetch the release package", false, "", mediaPackage},
	{"GET", "/v1/register", "register", "List agencies, officers and operators", false, "", mediaJSON},
	{"POST", "/v1/register/agencies", "registerAgency", "Propose an entry of an agency", false, mediaJSON, mediaJSON},
	{"POST", "/v1/register/persons", "registerPerson", "Propose an entry of an officer or operator", false, mediaJSON, mediaJSON},
	{"POST", "/v1/register/confirm", "registerConfirm", "Confirm a proposed entry as an independent custodian", false, mediaJSON, mediaJSON},
	{"POST", "/v1/ceremonies", "ceremonyStart", "Begin a ceremony of the custodians", false, mediaJSON, mediaJSON},
	{"GET", "/v1/ceremonies/{id}", "ceremony", "Read the board of a ceremony", false, "", mediaJSON},
	{"POST", "/v1/ceremonies/{id}/messages", "ceremonyPost", "Put a message on the board of a ceremony", false, mediaJSON, mediaJSON},
	{"POST", "/v1/console/invites", "consoleInvite", "Make a link by which a person enrols at the console, once", false, mediaJSON, mediaJSON},
	{"GET", "/v1/custody", "custody", "Get the certificates of the custodians' key sets", true, "", mediaJSON},
	{"GET", "/v1/openings", "openings", "Read the openings of case leaves, in the order of their publication", true, "", mediaJSON},
	{"GET", "/v1/openings/closed", "openingsClosed", "Read the openings of case leaves that are not public yet, as counsel or auditor", false, "", mediaJSON},
}
