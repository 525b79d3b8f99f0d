module quorate/examples

go 1.24
