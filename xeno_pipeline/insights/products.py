"""Products: a list of them, and those that sell best, of all time or of a period."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from xeno_pipeline.database.connection import Connection
from xeno_pipeline.insights.model import Amount, Model, as_answers, fetch_all
from xeno_pipeline.insights.paging import DEFAULT_LIMIT, Listing, Page, Where, read_page
from xeno_pipeline.insights.periods import Period


class Product(Model):
    """A product."""

    product_id: int
    title: str | None
    vendor: str | None
    product_type: str | None
    status: str | None
    variants_count: int
    min_price: Amount | None
    max_price: Amount | None
    created_at: datetime | None
    is_deleted: bool


class TopProduct(Model):
    """A product among those that sell best."""

    rank: int
    product_id: int | None = Field(description="Null for what was sold without being a product of the store's.")
    sku: str | None = Field(description="Of its best-selling variant.")
    title: str | None
    units: int
    orders: int
    gross_sales: Amount
    net_sales: Amount


ProductSort = Literal["product_id", "-product_id", "title", "-title", "created_at", "-created_at"]

PRODUCTS = Listing(
    name="products",
    source="dim_products",
    columns=tuple(Product.model_fields),
    key="product_id",
    key_type="bigint",
    sorts={"product_id": "bigint", "title": "text", "created_at": "timestamptz"},
    default="product_id",
)

# As the mart top_products has it, of days instead of months.
_OF_PERIOD = """
    with
        variants as (
            select
                product_id,
                coalesce(variant_id, 0) as variant_id,
                sum(units) as units,
                count(*) filter (where is_first_of_product) as orders,
                sum(gross_sales) as gross_sales,
                sum(net_sales) as net_sales
            from fct_sales
            where tenant_id = %(tenant_id)s and happened_on between %(first)s and %(last)s
            and line_type = 'PRODUCT' and product_id is not null
            group by 1, 2
        ),
        ranked as (
            select
                product_id,
                (array_agg(variant_id order by units desc, net_sales desc, variant_id))[1] as best_variant_id,
                sum(units)::bigint as units,
                sum(orders)::bigint as orders,
                sum(gross_sales)::numeric(20, 4) as gross_sales,
                sum(net_sales)::numeric(20, 4) as net_sales,
                row_number() over (order by sum(net_sales) desc, product_id) as rank
            from variants
            group by product_id
        )
    select
        ranked.rank, ranked.product_id, variants.sku, products.title, ranked.units, ranked.orders,
        ranked.gross_sales, ranked.net_sales
    from ranked
    left join dim_products products on products.tenant_id = %(tenant_id)s and products.product_id = ranked.product_id
    left join dim_product_variants variants
        on variants.tenant_id = %(tenant_id)s and variants.variant_id = ranked.best_variant_id
    where ranked.rank <= %(limit)s
    order by ranked.rank
    """

_OF_ALL_TIME = f"""
    select {TopProduct.columns()} from top_products
    where tenant_id = %(tenant_id)s and rank <= %(limit)s order by rank
    """


def list_products(
    connection: Connection,
    tenant_id: str,
    *,
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[Product]:
    """Products, a page at a time, deleted ones included.

    Raises:
        UnknownSortError, UnusableCursorError, UnusableLimitError: see `read_page`.
    """
    return read_page(
        connection, PRODUCTS, tenant_id, as_answers(Product), Where(), sort=sort, cursor=cursor, limit=limit
    )


def top_products(
    connection: Connection, tenant_id: str, period: Period | None = None, limit: int = 10
) -> list[TopProduct]:
    """The products with the highest net sales.

    Args:
        period: of sales in these days; None for the mart `top_products`, of all time.
        limit: a hundred at most.
    """
    bound = {"tenant_id": tenant_id, "limit": limit}
    if period is None:
        return fetch_all(connection, TopProduct, _OF_ALL_TIME, bound)
    return fetch_all(connection, TopProduct, _OF_PERIOD, {**bound, "first": period.first, "last": period.last})
