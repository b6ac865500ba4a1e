"""The words that the texts of `ftkit/small` are made of: everyday English, and syllables for words that are none."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


PEOPLE = _words("""
Anna Ben Clara David Elena Felix Grace Henry Irene Jack Kate Leo Maria Nina Oscar Paula Quinn Rosa Sam Tina Victor
Wanda Yusuf Zoe Amir Bella Carlos Diana Emil Fatima Hana Ivan Julia Karim Laura Miguel Nora Olga Peter Ruth Simon
Tara Omar Ada
""")

PLACES = _words("""
Athens Berlin Boston Cairo Delhi Dublin Geneva Hamburg Istanbul Jakarta Krakow Lagos Lisbon London Madrid Milan
Nairobi Naples Paris Prague Riga Rome Seoul Sofia Sydney Tokyo Vienna Warsaw Zurich France Spain Italy Japan Kenya
Brazil Canada North South East West Oslo Lima Porto Kyoto
""")

THINGS = _words("""
actor album apple army artist author bag ball band bank basket bed bell bird board boat book bottle bowl box bread
bridge brush building bus cake camera candle car card cat chair cheese child church city class client clock cloud
club coach coat coffee coin college company computer concert corner country course crew cup customer department desk
director dish district doctor dog door dress drink driver egg employee engine event exam factory family farm
festival field film fish flight floor flower food forest friend fruit game garden glass group guest hall hand hat
hill home horse hospital hotel hour house island item job journal judge key kitchen lake lamp language leaf lesson
letter library light line list machine manager market match meal meeting member metal milk mirror model month moon
mountain movie museum music name nation news night number nurse office oil order owner page painting paper park part
party patient pen person phone picture pilot pizza place plan planet plant plate player poet point president price
prize product project pupil question race radio rain recipe record region report restaurant river road room rope
school science sea season seat series ship shoe shop show sign singer snow soldier song spoon sport stadium staff
star station stone store storm story street student studio style sugar summer supplier table taxi teacher team test
theatre ticket time tool tower town toy track trade train tree trip truck university user vehicle village visitor
voice wall war watch water weather week wheel wind window winner winter word work worker writer year zoo
""")

QUALITIES = _words("""
old new big small long short high low warm cold red blue green black white brown fast slow loud quiet clean full
empty open closed early late heavy light soft hard sweet sour dry wet rich poor kind busy free happy tired young
strong weak rare modern
""")

ACTIONS = _words("""
sees finds buys sells opens closes likes wants needs makes takes brings carries counts cleans draws moves paints
reads repairs shows writes builds keeps loses sends
""")

FOODS = _words("""
flour sugar butter milk eggs salt pepper onion garlic tomato carrot potato rice pasta cream cheese chicken beef fish
beans lemon orange apple banana honey oil vinegar parsley basil cinnamon vanilla chocolate nuts raisins oats yeast
water soup
""")

FIELDS = _words("""
name title age size colour weight height length width price cost rating score year month day hour city country
region range type kind brand maker owner author status level group team rank speed power area volume depth count
total stock seats rooms email phone address street language subject grade salary bonus code format genre style
position capacity distance population visitors points pages tickets minutes hours credits days built opened founded
plan balance amount category model
""")

ASKED = _words(
    "How many What is Which Who Where When List Show Give Count Find Tell Name all each every different number"
)

AMONG = _words("""
the of and or with for from by in on at to a an above below between highest lowest average largest smallest first
last more less than most least are there that whose have has had was were not one two three four five six seven
eight nine ten
""")

UNITS = _words("cups spoons grams slices pieces pounds litres pinches cans packages")

SYLLABLES = _words("""
ba be bi bo bu da de di do du fa fe fi fo ga ge go ha he hi ho ja jo ka ke ki ko la le li lo lu ma me mi mo mu na ne
ni no pa pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo wa we wi za ze zo bel cor dan fen gar hal
jun kar lin mor nel por ran sel tor van wes zan tle ment ship ing ter son ley ard ent ous ive
""")
