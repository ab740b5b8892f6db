// Package drivertest is the behaviour suite of [keyholder.Driver]: what holds
// a keyholder's driver key must pass it, whether it is a file, an HSM or a
// service. It knows no driver.
//
// Start at [Run].
package drivertest
