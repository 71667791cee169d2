"""Small words of all five languages, by which a follow-up, a name or a topic goes on or begins."""

from __future__ import annotations

# “and in Oslo?” asks for a place within what was asked, and “and for managers?” for whom
PREPOSITIONS = frozenset(
    "in at for by to with from of on as after before during under over per bei für fur mit von "
    "aus am im auf nach vor au aux en pour par avec dans chez para con por desde nel nella tra fra "
    "da".split()
)
# “in the folder of the customer” names none
OF = frozenset("of des der vom von du de des del de della dello dei degli delle di".split())
# in the name of a sender stand none of them but “Ada von Berg”
NOT_IN_NAMES = (PREPOSITIONS | {"zu", "zum", "zur"}) - {"von", "da", "del"}
