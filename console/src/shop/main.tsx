import "@mantine/core/styles.css";
import "../ui/base.css";
import "./shop.css";
import { ProblemError } from "@brandos/sdk";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { theme } from "../ui/theme.ts";
import { Shop } from "./Shop.tsx";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => !(error instanceof ProblemError) && count < 2,
    },
  },
});

const root = document.getElementById("root");
if (!root) throw new Error("the page has no root");
const slug = location.pathname.split("/")[2] ?? "";
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <QueryClientProvider client={queries}>
        <BrowserRouter basename={`/shop/${slug}`}>
          <Shop slug={slug} />
        </BrowserRouter>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
