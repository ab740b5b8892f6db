package console

import "bonded"

// nowhere answers paths that there are not.
func (x *visit) nowhere() error {
	return &bonded.Error{Code: bonded.CodeWithheld, Message: "there is no such page, or it is not for you", Hint: "begin at /console/"}
}
