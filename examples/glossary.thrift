/** The service of the examples in other languages: the README's, with an error of its own. */

namespace py glossary_example

/** The glossary has no such term. */
exception UnknownTerm {
  1: string term
}

/** Terms and their explanations. */
service Glossary {
  /** Add a term, or replace its explanation. */
  void define(1: string term, 2: string explanation)

  /** Return the explanation of a term. */
  string explain(1: string term) throws (1: UnknownTerm unknown)

  /** Note that a term was looked up. There is no answer. */
  oneway void noticed(1: string term)
}
