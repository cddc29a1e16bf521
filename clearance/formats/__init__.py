"""How dates and numbers are written, in both languages: day first, a point before the decimals, as Oman writes them."""
