"""What can happen in a store: orders placed, edited, refunded, customers merged, products renamed, and so on.

Every change takes a store and options of JSON's types; what is left open is drawn, or the newest object that will
do is chosen. It returns the ids it touched, by kind. Times are the store's clock. Amounts of money are decimal strings
in the shop's currency.
"""

from __future__ import annotations

from collections.abc import Callable

from shopify_sandbox.controls.changes.carts import change_cart, fill_cart, order_cart
from shopify_sandbox.controls.changes.checkouts import complete_checkout, start_checkout, update_checkout
from shopify_sandbox.controls.changes.customers import (
    create_customer,
    delete_customer,
    merge_customers,
    update_customer,
)
from shopify_sandbox.controls.changes.orders import (
    cancel_order,
    delete_order,
    edit_order,
    place_order,
    refund,
    update_order,
)
from shopify_sandbox.controls.changes.products import create_product, delete_product, update_product
from shopify_sandbox.controls.changes.shop import update_shop
from shopify_sandbox.controls.changes.subject import ChangeError, Touched

__all__ = ["CHANGES", "ChangeError"]

CHANGES: dict[str, Callable[..., Touched]] = {
    change.__name__: change
    for change in (
        place_order,
        edit_order,
        refund,
        cancel_order,
        delete_order,
        update_order,
        create_customer,
        update_customer,
        delete_customer,
        merge_customers,
        create_product,
        update_product,
        delete_product,
        start_checkout,
        update_checkout,
        complete_checkout,
        fill_cart,
        change_cart,
        order_cart,
        update_shop,
    )
}
