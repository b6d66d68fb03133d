/** One thing wrong with a request. */
export interface ProblemPart {
  /** JSON pointer into the body, RFC 6901. */
  readonly pointer?: string;
  /** Name of the query, path or header parameter. */
  readonly parameter?: string;
  readonly detail: string;
}

/** An error answer of the server. @see https://www.rfc-editor.org/rfc/rfc9457 */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** Stable name: `inventory.out_of_stock`. */
  readonly code: string;
  readonly detail?: string;
  readonly instance?: string;
  readonly errors?: readonly ProblemPart[];
  readonly [extension: string]: unknown;
}

/** Thrown when the server refuses or fails. `code` says which problem it is. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }

  get code(): string {
    return this.problem.code;
  }

  get status(): number {
    return this.problem.status;
  }
}

/** Makes a problem of whatever an error answer held: proxies answer with pages, not problems. */
export function toProblem(body: unknown, response: Response): Problem {
  if (typeof body === "object" && body !== null && "code" in body && "title" in body) {
    return body as Problem;
  }
  return {
    type: "about:blank",
    title: response.statusText || `The server answered ${response.status}`,
    status: response.status,
    code: `http.${response.status}`,
  };
}

/** What openapi-fetch answers with. */
export interface Answer<Data> {
  readonly data?: Data;
  readonly error?: unknown;
  readonly response: Response;
}

/**
 * Takes the data out of an answer.
 *
 * @throws ProblemError when the server refused or failed
 */
export async function take<Data>(answer: Promise<Answer<Data>>): Promise<Data> {
  const { data, error, response } = await answer;
  if (!response.ok) throw new ProblemError(toProblem(error, response));
  return data as Data;
}
