"""What a segment may ask of customers: the attributes, the functions, and those of Shopify's that are not served.

The SQL here is all that a compiled condition is made of. It is over `c`, a row of `dim_customers`, and within a
function over `o` and `l`, rows of `fct_orders` and `fct_order_lines`. Names of marts have no schema: the search path
says which relation a reader gets. Nothing here is taken from a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class AttributeType(StrEnum):
    """The type of an attribute, which says what it can be compared with."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    ENUM = "enum"
    TEXT = "text"
    BOOLEAN = "boolean"
    LIST = "list"


@dataclass(frozen=True)
class Attribute:
    """What is known of each customer, or of each order or line within a function.

    Args:
        sql: its value; of a list, an array.
        description: what it is, for people who write queries.
        values: all values that there are, of an enum.
        is_shopifys: whether it has Shopify's name and meaning.
        is_personal: whether it says something that only who may see people may know.
        is_dated: whether it depends on what day it is.
        is_aggregate: whether it is a parameter about all rows together, such as their number.
        ignores_case: whether its texts are equal whatever the case of their letters.
    """

    type: AttributeType
    sql: str
    description: str
    values: tuple[str, ...] = ()
    is_shopifys: bool = False
    is_personal: bool = False
    is_dated: bool = False
    is_aggregate: bool = False
    ignores_case: bool = False


@dataclass(frozen=True)
class Function:
    """Something that customers did, possibly several times.

    Args:
        rows: what there is a row for each time, without `select`.
        parameters: what can be asked of the rows, by name.
        unserved: parameters at Shopify that are not served, each with why.
    """

    rows: str
    description: str
    parameters: Mapping[str, Attribute]
    unserved: Mapping[str, str] = field(default_factory=dict)


_RFM_SEGMENTS = (
    *("CHAMPIONS", "LOYAL", "POTENTIAL_LOYALIST", "NEW_CUSTOMERS", "PROMISING", "NEED_ATTENTION", "ABOUT_TO_SLEEP"),
    *("AT_RISK", "CANNOT_LOSE", "HIBERNATING", "LOST"),
)
_SHOPIFY_RFM_GROUPS = (
    *("ACTIVE", "ALMOST_LOST", "AT_RISK", "CHAMPIONS", "DORMANT", "LOYAL", "NEEDS_ATTENTION", "NEW"),
    *("PREVIOUSLY_LOYAL", "PROMISING", "PROSPECTS"),
)
"""CustomerRfmGroup in the schema of the Admin API."""

_MARKETING_STATES = ("INVALID", "NOT_SUBSCRIBED", "PENDING", "SUBSCRIBED", "UNSUBSCRIBED")
"""CustomerEmailAddressMarketingState in the schema of the Admin API."""

_ACCOUNT_STATES = ("DECLINED", "DISABLED", "ENABLED", "INVITED")
"""CustomerState in the schema of the Admin API."""

_CHURN_SEGMENTS = ("HIGH_VALUE_ACTIVE", "HIGH_VALUE_CHURN_RISK", "NEW_CUSTOMER", "STANDARD")


def _shopifys(kind: AttributeType, sql: str, description: str, **options: bool | tuple[str, ...]) -> Attribute:
    return Attribute(kind, sql, description, is_shopifys=True, **options)  # type: ignore[arg-type]


_PREDICTIONS = {
    name: Attribute(AttributeType.DECIMAL, f"c.{name}", f"{description} Null where it is not reliable.", is_dated=True)
    for name, description in (
        ("expected_net_sales_365d", "Net sales to be expected within 365 days."),
        ("expected_net_sales_90d", "Net sales to be expected within 90 days."),
        ("expected_order_value", "Sales to be expected of a day with an order."),
        ("expected_orders_365d", "Orders to be expected within 365 days."),
        ("expected_orders_90d", "Orders to be expected within 90 days."),
        ("probability_alive", "Probability that the customer has not left for good, 0 to 1."),
        ("probability_order_90d", "Probability of an order within 90 days, 0 to 1."),
    )
}
"""Predictions change with each new day."""

ATTRIBUTES: Mapping[str, Attribute] = {
    # Shopify's names
    "abandoned_checkout_date": _shopifys(
        AttributeType.DATE, "c.last_abandoned_on", "Day of the last abandoned checkout, recovered ones included."
    ),
    "amount_spent": _shopifys(
        AttributeType.DECIMAL, "c.total_sales", "Lifetime total sales: after returns, with shipping and taxes."
    ),
    "customer_account_status": _shopifys(
        AttributeType.ENUM, "c.account_status", "Status of the customer's account.", values=_ACCOUNT_STATES
    ),
    "customer_added_date": _shopifys(AttributeType.DATE, "c.created_on", "Day on which the customer was added."),
    "customer_countries": _shopifys(
        AttributeType.LIST,
        "array_remove(array[c.country_code], null)",
        "Country of the default address, such as 'DE'; no other address is known.",
        ignores_case=True,
    ),
    "customer_email_domain": _shopifys(
        AttributeType.TEXT,
        "nullif(split_part(c.email, '@', 2), '')",
        "What follows the @ of the e-mail address.",
        is_personal=True,
        ignores_case=True,
    ),
    "customer_language": _shopifys(
        AttributeType.TEXT, "c.language", "Language of the customer, such as 'en' or 'pt-BR'.", ignores_case=True
    ),
    "customer_tags": _shopifys(
        AttributeType.LIST, "c.tags", "Tags of the customer.", is_personal=True, ignores_case=True
    ),
    "email_subscription_status": _shopifys(
        AttributeType.ENUM,
        "c.email_subscription_status",
        "Whether the customer gets marketing e-mails; null without an address.",
        values=_MARKETING_STATES,
    ),
    "first_order_date": _shopifys(AttributeType.DATE, "c.first_order_on", "Day of the first counted order."),
    "last_order_date": _shopifys(AttributeType.DATE, "c.last_order_on", "Day of the last counted order."),
    "number_of_orders": _shopifys(AttributeType.INTEGER, "c.orders_count", "Number of counted orders."),
    "rfm_group": _shopifys(
        AttributeType.ENUM, "c.shopify_rfm_group", "Shopify's own RFM group.", values=_SHOPIFY_RFM_GROUPS
    ),
    # Ours
    "average_days_between_orders": Attribute(
        AttributeType.DECIMAL, "c.average_days_between_orders", "Average days from one order to the next."
    ),
    "average_order_value": Attribute(AttributeType.DECIMAL, "c.average_order_value", "Average value of an order."),
    "churn_segment": Attribute(
        AttributeType.ENUM, "c.churn_segment", "The churn segment.", values=_CHURN_SEGMENTS, is_dated=True
    ),
    "cohort_month": Attribute(AttributeType.DATE, "c.cohort_month", "First day of the month of the first order."),
    "days_since_last_order": Attribute(
        AttributeType.INTEGER, "c.days_since_last_order", "Days since the last order.", is_dated=True
    ),
    "discounts": Attribute(AttributeType.DECIMAL, "c.discounts", "Lifetime discounts, zero or negative."),
    **_PREDICTIONS,
    "frequency_score": Attribute(AttributeType.INTEGER, "c.frequency_score", "RFM score of frequency, 1 to 5."),
    "gross_sales": Attribute(AttributeType.DECIMAL, "c.gross_sales", "Lifetime gross sales."),
    "is_churn_risk": Attribute(
        AttributeType.BOOLEAN, "c.is_churn_risk", "No order for more than 90 days.", is_dated=True
    ),
    "is_high_value": Attribute(
        AttributeType.BOOLEAN, "c.is_high_value", "Net sales at or above the 90th percentile of the store."
    ),
    "monetary_score": Attribute(AttributeType.INTEGER, "c.monetary_score", "RFM score of net sales, 1 to 5."),
    "net_sales": Attribute(AttributeType.DECIMAL, "c.net_sales", "Lifetime net sales."),
    "recency_score": Attribute(AttributeType.INTEGER, "c.recency_score", "RFM score of recency, 1 to 5."),
    "returns": Attribute(AttributeType.DECIMAL, "c.returns", "Lifetime returns, zero or negative."),
    "rfm_segment": Attribute(
        AttributeType.ENUM, "c.rfm_segment", "RFM segment, from the three scores.", values=_RFM_SEGMENTS
    ),
    "units": Attribute(AttributeType.INTEGER, "c.units", "Lifetime units, less those returned."),
}

_COUNTED_ORDERS = "from fct_orders o where o.tenant_id = c.tenant_id and o.customer_id = c.customer_id and o.is_counted"
_ORDERED_LINES = (
    "from fct_orders o join fct_order_lines l on l.tenant_id = o.tenant_id and l.order_id = o.order_id "
    "where o.tenant_id = c.tenant_id and o.customer_id = c.customer_id and o.is_counted"
)
_SUBJECT = "a customer's orders come with no "

FUNCTIONS: Mapping[str, Function] = {
    "orders_placed": Function(
        _COUNTED_ORDERS,
        "Counted orders of the customer.",
        {
            "date": _shopifys(AttributeType.DATE, "o.ordered_on", "Day of an order."),
            "amount": _shopifys(AttributeType.DECIMAL, "o.total_sales", "Total sales of an order."),
            "count": _shopifys(
                AttributeType.INTEGER, "count(*)", "How many orders fit what else is asked of them.", is_aggregate=True
            ),
            "sum_amount": _shopifys(
                AttributeType.DECIMAL, "sum(o.total_sales)", "Their total sales together.", is_aggregate=True
            ),
        },
        {"app_id": f"{_SUBJECT}app", "location_id": f"{_SUBJECT}location", "financial_status": "it changes with time"},
    ),
    "products_purchased": Function(
        _ORDERED_LINES,
        "Products in counted orders of the customer.",
        {
            "id": _shopifys(AttributeType.INTEGER, "l.product_id", "Id of the product."),
            "date": _shopifys(AttributeType.DATE, "o.ordered_on", "Day of the order."),
            "quantity": _shopifys(AttributeType.INTEGER, "l.quantity", "Units in one line of an order, as ordered."),
            "count": _shopifys(
                AttributeType.INTEGER,
                "count(distinct o.order_id)",
                "In how many orders what fits was purchased.",
                is_aggregate=True,
            ),
            "sum_quantity": _shopifys(
                AttributeType.INTEGER, "sum(l.quantity)", "How many units of it together.", is_aggregate=True
            ),
        },
        {"tag": "the marts have no tags of products", "category": "the marts have no categories of products"},
    ),
}

_EMAIL_EVENTS = ("bounced", "clicked", "delivered", "marked_as_spam", "opened", "unsubscribed")

UNSERVED: Mapping[str, str] = {
    "anniversary": "no metafields are read",
    "companies": "B2B contacts are not read",
    "created_by_app_id": "Shopify's customers do not say which app created them",
    "customer_cities": "of addresses only the country is kept",
    "customer_regions": "of addresses only the country is kept",
    "customer_within_distance": "of addresses only the country is kept",
    "predicted_spend_tier": "Shopify's predictions are not read",
    "product_subscription_status": "subscriptions are not read",
    "sms_subscription_status": "consent to text messages is not read",
    "store_credit_accounts": "store credit is not read",
    **{f"shopify_email.{event}": "the Admin API does not tell what became of an e-mail" for event in _EMAIL_EVENTS},
    **{
        f"storefront{suffix}.{what}_viewed": "the Admin API does not tell who viewed what"
        for suffix in ("", "_event")
        for what in ("collection", "product")
    },
}
"""Shopify's attributes and functions that are not served, each with why, as of the reference named in `query.lark`."""

UNSERVED_PREFIXES: Mapping[str, str] = {
    "customer.metafields.": "no metafields are read",
    "metafields.": "no metafields are read",
    "shopify_email.": "the Admin API does not tell what became of an e-mail",
    "storefront": "the Admin API does not tell who viewed what",
}
