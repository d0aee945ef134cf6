"""What a store holds: orders with their ledger, customers, products, checkouts, and how the API shows them."""
