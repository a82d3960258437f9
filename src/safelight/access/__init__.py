"""Who may do what: keys, the tenants and roles that they stand for, and the file that names them."""
