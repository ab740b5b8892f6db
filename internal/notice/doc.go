// Package notice tells a person that their data was asked for, opened, refused
// or frozen, after the case or when secrecy has ended: in their language, and
// over a webhook, by mail or into an outbox folder.
//
// It knows nothing of cases and stores no queue. Who has something to tell
// hands a [Message] to [Sender.Deliver] and calls again with the same message
// until the [Outcome] is [Done] or [Failed]: delivery is idempotent by
// [Message.ID] as far as the channel can be, see spec/notice.md. A message
// never holds a value of a field, and no error or log line an address or text.
//
// Start at [Render] for what is said, and at [Sender.Deliver] for how it goes
// out.
package notice
