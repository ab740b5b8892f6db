package client_test

import (
	"context"
	"fmt"
	"log"

	"bonded"
	"bonded/client"
)

// Keep a person where the law says, open one field for support, and check the
// receipt of the opening.
func Example() {
	directory, err := client.ReadDirectory("/etc/bonded/cells.json")
	if err != nil {
		log.Fatal(err)
	}
	key, err := client.ReadGrantKey("/etc/bonded/svc-support.key")
	if err != nil {
		log.Fatal(err)
	}
	credential := client.Credential{Bearer: "the API key", Grant: "svc-support", GrantKey: key}
	deployment, err := client.NewDeployment(client.DeploymentConfig{
		Config:      client.Config{Directory: directory, Why: client.Why{Purpose: "support"}, Operator: []string{"handler_over_volume"}},
		Credentials: map[bonded.CellID]client.Credential{"cn": credential, "eu": credential},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer deployment.Close()
	ctx := context.Background()

	// 1. Write: the facts decide the cell.
	person, err := deployment.Put(ctx, client.PutRequest{
		Collection: "users",
		PutItem: client.PutItem{
			Facts:  &client.Facts{Residence: []bonded.Jurisdiction{"CN"}},
			Values: client.Values{"name": client.Text("李明"), "email": client.Text("li.ming@example.org")},
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	// 2. Open one field: entered in two books before the answer is here.
	opened, err := deployment.Get(ctx, client.GetRequest{
		Why:        client.Why{Reason: "ticket 4711"},
		Collection: "users",
		GetItem:    client.GetItem{Subject: &person.Subject, Record: &person.Record, Fields: []string{"email"}},
	})
	switch {
	case bonded.CodeOf(err) == bonded.CodeForbidden:
		fmt.Println("not for this purpose")
		return
	case err != nil:
		log.Fatal(err)
	}
	email, _ := client.TextOf(opened.Values["email"])
	fmt.Println(email, "opened under entry", opened.Entry)

	// 3. After the next anchor the entry has a receipt, checked offline.
	cell, err := deployment.Cell(person.Subject.Cell)
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := cell.Receipt(ctx, client.ReceiptRequest{Entry: opened.Entry})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := cell.VerifyReceipt(receipt); err != nil {
		log.Fatal(err)
	}
}
