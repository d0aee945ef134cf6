"""Generated customers: names from many places, and gaps where real ones have gaps."""

from __future__ import annotations

import random

from shopify_sandbox.model.objects import Customer

_FIRST = (
    "Ana",
    "Björn",
    "Chloé",
    "Dmitri",
    "Emre",
    "Fatima",
    "Giulia",
    "Håkon",
    "Ines",
    "Jürgen",
    "花子",
    "Łukasz",
    "Mehmet",
    "Nguyễn",
    "Olivia",
    "Priya",
    "Quentin",
    "Róisín",
    "Siobhán",
    "太郎",
)
_LAST = (
    "Almeida",
    "Brown",
    "Çelik",
    "D'Angelo",
    "Eriksson",
    "Fernández",
    "Grüner",
    "Haddad",
    "Ivanova",
    "Jones",
    "Kowalski",
    "Lindqvist",
    "Müller",
    "Ng",
    "O'Brien",
    "Patel",
    "Quinn",
    "佐藤",
    "Smith-Jones",
    "Øvergård",
)
_LOCALES = {"DE": "de", "AT": "de", "FR": "fr", "ES": "es", "IT": "it", "JP": "ja", "SE": "sv", "BR": "pt-BR"}
_STATES = ("DISABLED", "DISABLED", "DISABLED", "ENABLED", "INVITED", "DECLINED")


def generate_customer(
    rng: random.Random, number: int, created_at: int, updated_at: int, country: str, rfm_group: str | None
) -> Customer:
    """A customer; one in forty has no contact data at all, others miss this or that."""
    draw = rng.random
    first, last = _FIRST[int(draw() * len(_FIRST))], _LAST[int(draw() * len(_LAST))]
    customer = Customer(number, created_at, updated_at, state=_STATES[int(draw() * len(_STATES))], rfm_group=rfm_group)
    if draw() < 0.025:
        return customer
    if draw() < 0.95:
        customer.first_name = first
        customer.last_name = last if draw() < 0.95 else None
    if draw() < 0.96:
        customer.email = f"customer.{number}@example.com"
        customer.marketing_state = "SUBSCRIBED" if draw() < 0.4 else "NOT_SUBSCRIBED"
    if draw() < 0.3:
        customer.phone = f"+1555{number % 10_000_000:07}"
    if draw() < 0.9:
        customer.has_address = True
        customer.country = country
        customer.locale = _LOCALES.get(country, "en")
    customer.tags = [tag for tag in ("vip", "newsletter", "B2B, wholesale", "Stammgast") if draw() < 0.06]
    return customer
