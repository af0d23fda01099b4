/** Größe, naïve, 日本語, 🐇, "quoted", 'single', and a \ backslash \N{DASH}. */
struct Sized { 1: i32 a }

/**
 * Mehrere Zeilen – mit Gedankenstrich.
 *   Eingerückt: ✓
 */
enum Mood { /** 😀 */ HAPPY, /** ☹ */ SAD }
const string GREETING = "Grüße, 世界 🐇"
/** Ein Dienst. */
service Moods {
  /** Fragt: „Wie geht's?“ */
  Mood ask(1: string name /** wessen? */)
  string tell(1: Mood mood)
}
