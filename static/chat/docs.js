// The page of the API: Swagger UI with the schema of this service.

const asks = matchMedia("(prefers-color-scheme: dark)").matches;
const chosen = document.documentElement.dataset.theme;
document.documentElement.classList.toggle("dark-mode", chosen ? chosen === "dark" : asks);

SwaggerUIBundle({
  url: "/schema",
  dom_id: "#api",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
