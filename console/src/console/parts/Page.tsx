import type { ReactNode } from "react";
import { Link } from "react-router";
import { Icon } from "../../ui/Icon.tsx";
import { useTitle } from "./use-title.ts";

interface PageProps {
  readonly title: string;
  /** Beside the title: a status. */
  readonly mark?: ReactNode;
  readonly hint?: ReactNode;
  readonly actions?: ReactNode;
  readonly back?: { readonly to: string; readonly name: string };
  readonly children: ReactNode;
}

/** A room: its title, what can be done, what is there. */
export function Page({ title, mark, hint, actions, back, children }: PageProps) {
  useTitle(title);
  return (
    <>
      <div className="page-head">
        <div>
          {back && (
            <Link className="page-back" to={back.to}>
              <Icon name="back" size={14} /> {back.name}
            </Link>
          )}
          <h1>
            {title} {mark}
          </h1>
          {hint && <p>{hint}</p>}
        </div>
        {actions && <div className="row">{actions}</div>}
      </div>
      {children}
    </>
  );
}

interface PanelProps {
  readonly title?: string;
  /** Beside the title. */
  readonly mark?: ReactNode;
  readonly actions?: ReactNode;
  /** Without space around: tables bring their own. */
  readonly flush?: boolean;
  readonly children: ReactNode;
}

/** A group of things on a page. */
export function Panel({ title, mark, actions, flush = false, children }: PanelProps) {
  return (
    <section className="panel" aria-label={title}>
      {(title || actions) && (
        <div className="panel-head">
          <div className="row">
            <h2>{title}</h2>
            {mark}
          </div>
          {actions && <div className="row">{actions}</div>}
        </div>
      )}
      {flush ? children : <div className="panel-body">{children}</div>}
    </section>
  );
}
