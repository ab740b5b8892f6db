package sqldb

import (
	"errors"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"bonded"
)

// codeOf returns SQLite's extended result code of err, 0 if it has none.
func codeOf(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// breaksTransaction reports whether SQLite may have rolled back the whole
// transaction on err (https://www.sqlite.org/lang_transaction.html, "Response
// To Errors Within A Transaction"), or the disk refuses.
func breaksTransaction(err error) bool {
	switch codeOf(err) & 0xff {
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_NOMEM, lib.SQLITE_READONLY, lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_CANTOPEN, lib.SQLITE_BUSY:
		return true
	default:
		return false
	}
}

// isFatal reports whether what is read after err can be wrong: a flush that
// failed may be reported only once, with the pages marked clean
// (https://www.usenix.org/conference/atc20/presentation/rebello).
func isFatal(err error) bool {
	switch code := codeOf(err); code {
	case lib.SQLITE_IOERR_FSYNC, lib.SQLITE_IOERR_DIR_FSYNC, lib.SQLITE_IOERR_READ, lib.SQLITE_IOERR_SHORT_READ, lib.SQLITE_IOERR_CORRUPTFS:
		return true
	default:
		return code&0xff == lib.SQLITE_CORRUPT || code&0xff == lib.SQLITE_NOTADB
	}
}

func notWritable(err error) error {
	return &bonded.Error{
		Code: bonded.CodeNotWritable, Message: "the database cannot be written", Err: err,
		Hint: "look at free space and mount state of its disk; nothing was answered on the strength of this write",
	}
}

// openError puts a code on an error of opening, unless it has one.
func openError(err error) error {
	var e *bonded.Error
	switch {
	case errors.As(err, &e):
		return err
	case codeOf(err)&0xff == lib.SQLITE_CORRUPT || codeOf(err)&0xff == lib.SQLITE_NOTADB:
		return bonded.Wrap(bonded.CodeAltered, err, "the file is not a sound database")
	case breaksTransaction(err):
		return notWritable(err)
	default:
		return err
	}
}

// IsUnique reports whether err says that a row with the same key is there
// already.
func IsUnique(err error) bool {
	c := codeOf(err)
	return c == lib.SQLITE_CONSTRAINT_UNIQUE || c == lib.SQLITE_CONSTRAINT_PRIMARYKEY || c == lib.SQLITE_CONSTRAINT_ROWID
}

// IsConstraint reports whether err says that a constraint or trigger of the
// schema refused a change.
func IsConstraint(err error) bool { return codeOf(err)&0xff == lib.SQLITE_CONSTRAINT }
