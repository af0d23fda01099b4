include "shapes.thrift"
namespace py hashed_in_include.palettes
struct Palette { 1: set<shapes.Colour> colours, 2: map<list<shapes.Colour>, string> blends }
const set<shapes.Colour> BASIC = [{"red": 1}]
service Palettes { Palette paint(1: Palette palette, 2: set<shapes.Colour> more) }
