// Names that other languages reserve.
struct default_ { 1: i32 new, 2: string function, 3: bool virtual, 4: i32 var }
enum Switch { case_, native, static }
service Reserved { default_ delete(1: i32 this, 2: string next), bool switch(1: Switch final), void end(1: i32 end) }
