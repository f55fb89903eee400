package sqlite

// maxSeries is the largest number of a series: a chunk's key has 27 bits for it.
const maxSeries = 1<<27 - 1
