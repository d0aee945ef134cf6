"""Country codes of country names as people write them in files."""

from __future__ import annotations

_CODES = """
AE United Arab Emirates|UAE
AR Argentina
AT Austria
AU Australia
BE Belgium
BG Bulgaria
BH Bahrain
BR Brazil
CA Canada
CH Switzerland
CL Chile
CN China
CO Colombia
CY Cyprus
CZ Czech Republic|Czechia
DE Germany
DK Denmark
EE Estonia
EG Egypt
ES Spain
FI Finland
FR France
GB United Kingdom|UK|Great Britain|England|Scotland|Wales|Northern Ireland
GR Greece
HK Hong Kong
HR Croatia
HU Hungary
ID Indonesia
IE Ireland|EIRE
IL Israel
IN India
IS Iceland
IT Italy
JE Channel Islands|Jersey
JP Japan
KR South Korea|Korea
KW Kuwait
LB Lebanon
LT Lithuania
LU Luxembourg
LV Latvia
MA Morocco
MT Malta
MX Mexico
MY Malaysia
NG Nigeria
NL Netherlands|The Netherlands|Holland
NO Norway
NZ New Zealand
PE Peru
PH Philippines
PL Poland
PT Portugal
QA Qatar
RO Romania
RS Serbia
SA Saudi Arabia
SE Sweden
SG Singapore
SI Slovenia
SK Slovakia
TH Thailand
TR Turkey|Türkiye
TW Taiwan
UA Ukraine
US United States|USA|United States of America
VN Vietnam|Viet Nam
ZA South Africa|RSA
"""
_BY_NAME = {
    name.casefold(): line[:2] for line in _CODES.strip().splitlines() for name in (line[:2], *line[3:].split("|"))
}


def country_code(name: str) -> str | None:
    """The ISO 3166 code of a country's name or code; None where the name tells no country."""
    return _BY_NAME.get(name.strip().casefold())
