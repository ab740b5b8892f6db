package request

import (
	"errors"
	"reflect"
	"strconv"

	"bonded"
)

// Check holds a request that was not read by Parse, such as one filled in on a
// page, against what Parse wants of one. Errors have code invalid, and Field is
// the path of the member, such as authorisation.approvals[0].reference.
func (f *File) Check() error { return check("", reflect.ValueOf(f).Elem()) }

func check(path string, v reflect.Value) error {
	switch v.Kind() { //nolint:exhaustive // what members are made of
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return check(path, v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if err := check(path+"["+strconv.Itoa(i)+"]", v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Struct:
	default:
		return nil
	}
	for i := range v.NumField() {
		t := v.Type().Field(i)
		name := t.Tag.Get("yaml")
		if name == "" {
			continue // of another package: a time, an id
		}
		at := join(path, name)
		if err := check(at, v.Field(i)); err != nil {
			return err
		}
		if t.Tag.Get("required") != "" && v.Field(i).IsZero() {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: at, Message: "a required field is missing", Hint: "fill it in"}
		}
	}
	w, ok := reflect.TypeAssert[interface{ Validate() error }](v.Addr())
	if !ok {
		return nil
	}
	if e, bad := errors.AsType[*bonded.Error](w.Validate()); bad {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: join(path, e.Field), Message: e.Message, Hint: e.Hint}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
