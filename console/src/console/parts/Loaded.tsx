import { Alert, Button, Skeleton } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { sayProblem } from "../../ui/problem.ts";

interface LoadedProps<Data> {
  readonly query: UseQueryResult<Data>;
  readonly children: (data: Data) => ReactNode;
}

/** Shows what a query brought; until then a shade, and what went wrong with a way to try again. */
export function Loaded<Data>({ query, children }: LoadedProps<Data>) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <Trouble error={query.error} retry={() => void query.refetch()} />;
  return <Shade />;
}

/** What went wrong, with a way to try again. */
export function Trouble(props: { readonly error: unknown; readonly retry: () => void }) {
  return (
    <Alert color="red" variant="light" title="This could not be loaded" m="md" role="alert">
      <div className="row">
        {sayProblem(props.error)}
        <Button size="xs" variant="light" color="red" onClick={props.retry}>
          Try again
        </Button>
      </div>
    </Alert>
  );
}

/** Stands where rows will be. */
export function Shade({ rows = 5 }: { readonly rows?: number }) {
  return (
    <div className="panel-body stack" aria-busy="true">
      {Array.from({ length: rows }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike
        <Skeleton key={index} height={18} width={`${92 - ((index * 17) % 40)}%`} />
      ))}
    </div>
  );
}
