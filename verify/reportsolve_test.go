package verify_test

import "math"

// extreme returns the least value of sign times unknown v over all solutions of
// eqs · x = 0 with lo ≤ x ≤ hi, times sign: a simplex over a dense table, with
// Bland's rule.
func extreme(lo, hi []float64, eqs [][]float64, v int, sign float64) float64 {
	// 1. Columns: x - lo, a slack for each upper bound, an artificial a row, the
	// right side.
	n, m := len(lo), len(eqs)+len(lo)
	width := 2*n + m + 1
	table := make([][]float64, m)
	basis := make([]int, m)
	for i := range table {
		row := make([]float64, width)
		if i < len(eqs) {
			for j, a := range eqs[i] {
				row[j] = a
				row[width-1] -= a * lo[j]
			}
		} else {
			j := i - len(eqs)
			row[j], row[n+j], row[width-1] = 1, 1, hi[j]-lo[j]
		}
		if row[width-1] < 0 {
			for j := range row {
				row[j] = -row[j]
			}
		}
		row[2*n+i] = 1
		basis[i] = 2*n + i
		if i >= len(eqs) {
			basis[i], row[2*n+i] = n+i-len(eqs), 0
		}
		table[i] = row
	}

	// 2. Some solution, then the best one.
	cost := make([]float64, width)
	for i, b := range basis {
		if b >= 2*n {
			for j := range 2 * n {
				cost[j] -= table[i][j]
			}
			cost[width-1] -= table[i][width-1]
		}
	}
	simplex(table, basis, cost, 2*n)
	if cost[width-1] < -1e-6 {
		return math.NaN()
	}
	cost = make([]float64, width)
	cost[v] = sign
	for i, b := range basis {
		if b == v {
			for j := range cost {
				cost[j] -= sign * table[i][j]
			}
		}
	}
	simplex(table, basis, cost, 2*n)
	return lo[v] - cost[width-1]*sign
}

func simplex(table [][]float64, basis []int, cost []float64, free int) {
	const eps = 1e-9
	last := len(cost) - 1
	for {
		enter := -1
		for j := range free {
			if cost[j] < -eps {
				enter = j
				break
			}
		}
		if enter < 0 {
			return
		}
		leave := -1
		for i, row := range table {
			if row[enter] <= eps {
				continue
			}
			if leave < 0 || row[last]/row[enter] < table[leave][last]/table[leave][enter]-eps ||
				math.Abs(row[last]/row[enter]-table[leave][last]/table[leave][enter]) <= eps && basis[i] < basis[leave] {
				leave = i
			}
		}
		if leave < 0 {
			return
		}
		p := table[leave]
		by := p[enter]
		for j := range p {
			p[j] /= by
		}
		for i, row := range table {
			if f := row[enter]; i != leave && f != 0 {
				for j := range row {
					row[j] -= f * p[j]
				}
			}
		}
		if f := cost[enter]; f != 0 {
			for j := range cost {
				cost[j] -= f * p[j]
			}
		}
		basis[leave] = enter
	}
}
