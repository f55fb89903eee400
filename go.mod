module github.com/trefoil-iot/trefoil

go 1.26
