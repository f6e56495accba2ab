/** What went wrong, as RFC 9457 tells it; `status` 0 means that no answer came at all. */
export class Problem extends Error {
  override name = "Problem";

  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** What is wrong with which field of the request, where the gateway says so. */
    readonly errors: readonly { field: string; message: string }[] = [],
  ) {
    super(detail || title);
  }
}

/** Read a failed response; a body that is no problem document still makes a Problem. */
export async function problemOf(response: Response): Promise<Problem> {
  const isProblem = response.headers.get("content-type")?.includes("json") ?? false;
  const body: unknown = isProblem ? await response.json().catch(() => null) : null;
  const { title, detail, errors } = (body ?? {}) as { title?: unknown; detail?: unknown; errors?: unknown };
  return new Problem(
    response.status,
    typeof title === "string" ? title : response.statusText,
    typeof detail === "string" ? detail : "",
    Array.isArray(errors) ? errors.filter(isFault) : [],
  );
}

function isFault(one: unknown): one is { field: string; message: string } {
  const { field, message } = (one ?? {}) as { field?: unknown; message?: unknown };
  return typeof field === "string" && typeof message === "string";
}

/** Whatever was thrown, as a Problem. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, "", error instanceof Error ? error.message : String(error));
}
