/** What an area of `npm run prove` is: suites in their long form, which print the figures of its report. */
export interface Area {
  /** Name on the command line and of the report. */
  readonly name: string;
  /** The claim, one sentence. */
  readonly claim: string;
  /** Spec files: paths from the root that end in `.spec.ts`, or names of those in tools/e2e without it. */
  readonly suites: readonly string[];
  /** Only tests whose full name contains this; absent = all of the suites. */
  readonly tests?: string;
  /** What holds for the figures: how they are meant, and what they say of a busy machine. Paragraphs of the report. */
  readonly notes?: readonly string[];
  /** Figures of other areas that belong here too, as their reports have them. */
  readonly quotes?: readonly Quote[];
  /** Stopped and failed beyond this. */
  readonly minutesMax: number;
}

export interface Quote {
  readonly area: string;
  /** Whose names match. */
  readonly figures: RegExp;
}
