"""The reserved words of the languages that Thrift's compiler writes, each from the language's own specification.

Only words that are reserved everywhere are listed: a contextual keyword, such as ``record`` in Java, is a valid name.
PHP has no list: since PHP 7 its methods, properties and constants may have such names.
"""

from __future__ import annotations

from typing import Final

# ISO/IEC 14882:2020 (C++20), table "Keywords" [tab:lex.key] and the alternative tokens [tab:lex.digraph].
_CPP: Final = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class
    co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default
    delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long
    mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register
    reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
    xor_eq
"""

# ECMA-334, 6th edition, section 6.4.4 "Keywords".
_C_SHARP: Final = """
    abstract as base bool break byte case catch char checked class const continue decimal default delegate do double
    else enum event explicit extern false finally fixed float for foreach goto if implicit in int interface internal is
    lock long namespace new null object operator out override params private protected public readonly ref return sbyte
    sealed short sizeof stackalloc static string struct switch this throw true try typeof uint ulong unchecked unsafe
    ushort using virtual void volatile while
"""

# The Go Programming Language Specification, "Keywords".
_GO: Final = """
    break case chan const continue default defer else fallthrough for func go goto if import interface map package range
    return select struct switch type var
"""

# The Java Language Specification, Java SE 17, section 3.9 "Keywords", and the literals of section 3.10.
_JAVA: Final = """
    abstract assert boolean break byte case catch char class const continue default do double else enum extends false
    final finally float for goto if implements import instanceof int interface long native new null package private
    protected public return short static strictfp super switch synchronized this throw throws transient true try void
    volatile while
"""

# ECMA-262 (2023), section 12.7.2 "Keywords and Reserved Words", with those of strict mode.
_JAVASCRIPT: Final = """
    await break case catch class const continue debugger default delete do else enum export extends false finally for
    function if implements import in instanceof interface let new null package private protected public return static
    super switch this throw true try typeof var void while with yield
"""

# Kotlin language specification, "Keywords and operators", the hard keywords.
_KOTLIN: Final = """
    as break class continue do else false for fun if in interface is null object package return super this throw true
    try typealias typeof val var when while
"""

# Ruby's documentation, "Keywords"; ISO/IEC 30170, section 8.7.4.
_RUBY: Final = """
    __ENCODING__ __FILE__ __LINE__ BEGIN END alias and begin break case class def do else elsif end ensure false for if
    in module next nil not or redo rescue retry return self super then true undef unless until when while yield
"""

# The Rust Reference, "Keywords", the strict and the reserved ones (2018 edition and later).
_RUST: Final = """
    Self abstract as async await become box break const continue crate do dyn else enum extern false final fn for if
    impl in let loop macro match mod move mut override priv pub ref return self static struct super trait true try type
    typeof unsafe unsized use virtual where while yield
"""

# The Swift Programming Language, "Lexical Structure", keywords used in declarations, statements, expressions and types.
_SWIFT: Final = """
    Any Self as associatedtype borrowing break case catch class consuming continue default defer deinit do else enum
    extension fallthrough false fileprivate for func guard if import in init inout internal is let nil nonisolated open
    operator precedencegroup private protocol public repeat rethrows return self static struct subscript super switch
    throw throws true try typealias var where while
"""

# Thrift's compiler refuses these for every language but Python and Swift, also where they are valid names. Those that
# it refuses for Python are left out: no IDL with them gets here. Found by trying words with Thrift 0.17.
_THRIFT: Final = """
    BEGIN END __CLASS__ __DIR__ __FILE__ __FUNCTION__ __LINE__ __METHOD__ __NAMESPACE__ abstract alias args begin case
    catch clone declare default delete do dynamic elseif elsif end enddeclare endfor endforeach endif endswitch endwhile
    ensure float foreach function goto implements inline instanceof interface module native new next nil package private
    protected public redo register rescue retry self sizeof static super switch synchronized then this throw transient
    undef unless unsigned until use var virtual volatile when xor
"""

REFUSED_BY_THRIFT: Final = frozenset(_THRIFT.split())
"""The words that the Thrift compiler takes in stubs for Python and Swift only."""

RESERVED: Final = {
    language: frozenset(words.split())
    for language, words in {
        "C#": _C_SHARP,
        "C++": _CPP,
        "Go": _GO,
        "Java": _JAVA,
        "JavaScript": _JAVASCRIPT,
        "Kotlin": _KOTLIN,
        "Ruby": _RUBY,
        "Rust": _RUST,
        "Swift": _SWIFT,
    }.items()
}
"""The reserved words by language, in alphabetical order of the languages."""
