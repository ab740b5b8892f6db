package remote

import "bonded"

// CellWitness stands for the cell in witnesses' certificates: they belong to
// none.
const CellWitness bonded.CellID = "witness"
