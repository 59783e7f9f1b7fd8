"""Scripts of customer-service conversations in Portuguese, their format and their telling."""

import re
from dataclasses import dataclass, replace
from random import Random
from typing import Any

PASSAGE_LEFT_OUT = 0.5
FEWEST_MESSAGES = 4


@dataclass(frozen=True, slots=True)
class Line:
    direction: str
    content: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a script in several wordings. Passage 0 is always told, the others at times."""

    direction: str
    wordings: tuple[str, ...]
    passage: int


Script = tuple[Turn, ...]
MARK = re.compile(r"^(C:|A:|\||\[|\])", re.M)
DIRECTIONS = {"C:": "RECEIVED", "A:": "SENT"}


def script(text: str) -> Script:
    """Parse a script: "C:" the customer, "A:" the agent, "|" another wording of the turn above,
    "[" to "]" an optional passage. Any other line continues the message on a new line.
    """
    parts = MARK.split(text)[1:]
    turns: list[Turn] = []
    passage, passages = 0, 0
    for mark, words in zip(parts[::2], parts[1::2], strict=True):
        match mark:
            case "[":
                passage = passages = passages + 1
            case "]":
                passage = 0
            case "|":
                turns[-1] = replace(turns[-1], wordings=(*turns[-1].wordings, words.strip()))
            case _:
                turns.append(Turn(DIRECTIONS[mark], (words.strip(),), passage))
    return tuple(turns)


def tell(chance: Random, script: Script, details: dict[str, Any]) -> list[Line]:
    passages = sorted({turn.passage for turn in script} - {0})
    left_out = {passage for passage in passages if chance.random() < PASSAGE_LEFT_OUT}
    return [
        Line(turn.direction, chance.choice(turn.wordings).format_map(details))
        for turn in script
        if turn.passage not in left_out
    ]


def cut_at_a_question(chance: Random, lines: list[Line]) -> list[Line]:
    """Return the lines up to a customer's line with an answer of the agent after it."""
    ends = [
        end
        for end in range(FEWEST_MESSAGES, len(lines))
        if lines[end - 1].direction == "RECEIVED" and lines[end].direction == "SENT"
    ]
    return lines[: chance.choice(ends)]


def farewell(chance: Random, details: dict[str, Any]) -> list[Line]:
    return tell(chance, chance.choice(FAREWELLS), details)


# Links are in .example, because nobody can own this domain (RFC 2606).

DELIVERY_LATE = script("""
C: oi
| Olá
| {greeting}
C: Meu pedido {order} era pra ter chegado dia {past} e até agora nada 😕
| {greeting}! Comprei um {product} no site e a entrega estava marcada para {past}. Ainda não chegou. O número do pedido é {order}.
A: {greeting}, {customer}! Aqui é {agent}, tudo bem? 😊 Sinto muito pelo atraso. Vou verificar o pedido *{order}* agora mesmo, só um instante.
| Olá, {customer}! Meu nome é {agent}. Lamento pelo transtorno! Já estou consultando o pedido *{order}* com a transportadora.
C: ok
| Tá bom, aguardo
| 👍
A: Localizei! O seu {product} está no centro de distribuição de {district}. Houve um atraso na rota por causa das chuvas.
| Verifiquei aqui: o pedido saiu do nosso estoque no prazo, mas a transportadora não conseguiu concluir a rota. Ele está na unidade de {district}.
[
C: Mas vocês não avisam nada? Fiquei o dia inteiro em casa esperando
| Poxa, e ninguém me avisou 😡 perdi o dia esperando
A: Você tem toda a razão, {customer}, e peço desculpas. O aviso deveria ter saído automaticamente. Já registrei a falha no protocolo *{protocol}*.
]
C: E quando chega então?
| Qual é o novo prazo?
A: A nova previsão é *{day}*, até as 18h.

Você acompanha por aqui:
https://loja.example/rastreio/{tracking}
| Está programado para {day}, no período da tarde. O código de rastreio é {tracking}.
[
C: Pode deixar com o porteiro?
| se eu não estiver pode entregar na portaria?
A: Pode, sim! Já coloquei a observação: "entregar na portaria". ✅
]
""")

TRACKING = script("""
C: {greeting}! Gostaria de saber onde está minha encomenda. Pedido {order}
| boa, tudo bem? como faço pra rastrear o pedido {order}?
A: Olá! Tudo bem? 😊 Aqui é {agent}. O pedido {order} é do *{product}*, certo?
C: Isso
| isso mesmo!
| Sim
A: Ele já foi postado! 📦

*Código:* {tracking}
*Previsão:* {day}
*Acompanhe:* https://loja.example/rastreio/{tracking}
[
C: O link não abre no meu celular
| entrei ali e aparece "objeto não encontrado"
A: Costuma levar até 24 h para aparecer no sistema da transportadora. Se amanhã ainda não abrir, me chame por aqui, tá?
]
C: O endereço está como {street}?
| só confirma o endereço pra mim por favor? rua e número
A: Confirmado: {street}, {district}, CEP {cep}. 🏠
| O endereço do pedido é *{street}* – {district}. Está correto?
C: Certinho
| perfeito 👏
""")

BOLETO = script("""
C: Oi, preciso da segunda via do boleto que venceu dia {past}
| {greeting}, perdi o boleto desse mês. Conseguem me mandar outro?
| Não recebi o boleto por e-mail este mês, pode me enviar?
A: {greeting}! Eu sou {agent}. Claro! Por segurança, me confirma os *3 primeiros dígitos do CPF* do titular, por favor?
| Olá! Consigo, sim. Me informe, por favor, o nome completo e os três primeiros dígitos do CPF do titular.
C: {customer}, 084
| 317
| os primeiros são 205
A: Agradeço a confirmação, {customer}! O valor atualizado é de *{bill}*, com vencimento em {day}.
[
C: Ué, tem juros?
| esse valor está maior que o do mês passado...
A: São {extra} de multa e juros pelo atraso, conforme o contrato. O restante é a mensalidade normal.
C: entendi
| Hmm tá certo
]
A: Linha digitável:

{barcode}

Também enviei o PDF para {email}. 📩
C: Se eu pagar hoje cai quando?
| Quanto tempo demora pra compensar?
A: Boleto compensa em até *2 dias úteis*. Se preferir Pix, a baixa é na hora. 😉
[
C: Prefiro pix então
| manda o pix por favor
A: {pix}
A: É só usar a opção *Pix copia e cola* no aplicativo do banco.
C: Paguei agora
| feito ✅ segue o comprovante: https://banco.example/c/{protocol}
A: Pagamento identificado! ✅ Sua fatura está em dia.
]
""")

PIX = script("""
C: Fiz um Pix de {price} hoje cedo e o pedido continua "aguardando pagamento" 😟
| Paguei por pix o pedido {order} e não caiu ainda. Saiu da minha conta!
A: Olá! Aqui é {agent}, vou te ajudar com isso. Qual é o número do pedido e o horário do pagamento?
| {greeting}! Não se preocupe, vamos localizar. Me passa o nº do pedido e a hora aproximada do Pix, por favor.
C: {order}, umas {hour}
| pedido {order}. Foi às {hour}
C: Segue o comprovante: https://banco.example/comprovante/{protocol}
| o comprovante tem o valor certinho, {price}
A: Recebido! Um momento, por favor. ⏳
| Recebi! Vou conferir com o financeiro e já volto. Não precisa pagar de novo, tá?
[
C: Alguma novidade?
| Oi? ainda aí?
| ??
A: Desculpe a demora, {customer}! O financeiro está conferindo o extrato neste momento.
C: ok aguardando
]
A: Localizamos! ✅ O Pix de *{price}* entrou, mas o código já tinha expirado, por isso a baixa não foi automática. Fiz a liberação manual.
C: Ufa! E o prazo de entrega muda?
| Aleluia 🙏 muda alguma coisa na entrega?
A: Não muda: seu {product} chega até *{other_day}*.
""")

WRONG_BILL = script("""
C: {greeting}. Minha fatura veio com um valor que eu não reconheço
| Que cobrança é essa de {extra} na minha fatura???
A: {greeting}, {customer}! Sou {agent}. Vou analisar com você. Qual é o item que você não reconhece?
| Olá! Vou verificar. É a fatura com vencimento em {day}, no valor de {bill}?
C: Aparece um "serviço adicional" de {extra}. Eu nunca contratei isso
| a de {bill}. tem um seguro de {extra} que não pedi
| Olha, eu sou cliente há mais de seis anos, sempre paguei tudo em dia, e agora do nada aparece um "serviço adicional" de {extra} que eu nunca contratei, nunca autorizei e nem sei o que é. Já liguei duas vezes, fiquei mais de quarenta minutos na linha, a ligação caiu e ninguém retornou. Quero que isso seja retirado da fatura e que me mandem uma nova, com o valor certo, porque não vou pagar por uma coisa que não pedi. E quero também um protocolo, por favor.
A: Entendo a sua insatisfação, e vamos resolver. Abri a contestação sob o protocolo *{protocol}*.
C: e quanto tempo demora isso?
| Tá. Qual o prazo?
A: A análise leva até *5 dias úteis*, mas como não há registro de contratação, consigo retirar o valor agora. Um instante…
A: Pronto! O serviço foi cancelado e os {extra} foram estornados. ✅

A fatura corrigida está em:
https://minhaconta.example/faturas/{protocol}
[
C: E o que já paguei no mês passado?
| Teve essa cobrança mês passado também
A: Verifiquei e confirmo: houve uma cobrança igual no mês anterior. O crédito de {extra} virá na próxima fatura.
]
C: Agora sim
| Recebi aqui, valor certo
""")

EXCHANGE = script("""
C: Oi! Comprei um tênis tamanho {size} e ficou apertado 😅 como faço pra trocar?
| {greeting}, queria trocar o tênis do pedido {order}, o {size} ficou pequeno
A: Oi, {customer}! Tudo bem? Aqui é {agent}. 👟 A troca é grátis em até *30 dias*. O tênis foi usado fora de casa?
| Olá! Claro que dá. Só preciso saber: está sem uso e com a etiqueta?
C: Só experimentei em casa
| não usei não, tá na caixa ainda com etiqueta
A: Ótimo! Qual tamanho você gostaria?
C: um número maior, se tiver em preto
| Um acima. Tem no preto?
[
A: No preto esgotou 😔, mas temos em *azul-marinho* e *off-white*. Qual prefere?
C: Azul
| hmm… pode ser o off-white
| Me manda foto?
A: Veja aqui: https://loja.example/p/tenis-corrida
C: pode ser esse mesmo ❤️
]
A: Perfeito, separei o seu! Para devolver, siga os passos:

1. Coloque o tênis na caixa original
2. Escreva o código *{tracking}* na embalagem
3. Leve a qualquer agência dos Correios até {other_day}

Assim que for postado, enviamos o novo. 📦
C: Preciso pagar o frete?
| a agência tem que imprimir etiqueta?
A: Não precisa pagar nem imprimir nada: é só informar o código no balcão. 😉
""")

DEFECT = script("""
C: O {product} que comprei chegou quebrado
| {greeting}, recebi o {product} hoje e veio com defeito 😤
| Meu {product} quebrou com uma semana de uso!!
A: Poxa, {customer}, que chato! Eu sou {agent} e vou resolver isso com você. Pode me passar o número do pedido?
| Sinto muito por isso. 😔 Aqui é {agent}. Me informa o pedido e, se puder, descreva o defeito?
C: {order}
| pedido nº {order}
C: A caixa já chegou amassada. Tenho foto: https://fotos.example/{order}
| não dá pra usar desse jeito
A: Agradeço as informações. Como está dentro do prazo de 7 dias, você pode escolher:

*1)* troca por um novo
*2)* devolução com reembolso de {price}
C: Quero o dinheiro de volta
| 2
| prefiro o reembolso
A: Certo. Registrei a devolução: protocolo *{protocol}*. A coleta será em *{day}*, entre 8h e 18h, em {street}.
[
C: Dia {day} eu trabalho, pode ser outro dia?
| nesse dia não tem ninguém em casa
A: Sem problema! Remarquei para *{other_day}*, tudo bem?
C: Pode ser
| fechado
]
C: E o reembolso sai quando?
| Como recebo o valor?
A: Após a coleta, o estorno de *{price}* é feito em até 5 dias úteis: por Pix, na hora; no cartão, em até duas faturas.
[
C: Vou querer por Pix, chave {email}
A: Anotado! Chave Pix cadastrada: {email}. ✅
]
""")

APPOINTMENT = script("""
C: {greeting}! Queria marcar uma consulta com {doctor}
| Oi, gostaria de agendar horário com {doctor}, pode ser?
A: {greeting}! Aqui é {agent}, da recepção. 😊 É a primeira consulta?
| Olá! Claro. A consulta é *particular* ou por *convênio*?
C: Sim, primeira vez
| Convênio. É a primeira consulta
| não, já sou paciente
A: Certo! Temos estes horários:

📅 {day} às {hour}
📅 {other_day} às {other_hour}

Qual fica melhor?
C: Dia {day} às {hour} tá ótimo
| o primeiro, {hour}
[
A: Para finalizar, preciso do seu nome completo e data de nascimento, por favor.
C: {customer} Nogueira, 14/08/1987
| {customer} de Souza Lima
02/03/1992
]
A: Agendado! ✅

*Profissional:* {doctor}
*Data:* {day}, {hour}
*Endereço:* {street} – {district}

Chegue 15 minutos antes, com documento e carteirinha.
C: Precisa levar os exames antigos?
| Tem estacionamento?
| Qual o valor se for particular?
A: Se puder trazer os exames dos últimos 12 meses, ajuda bastante. E temos convênio com o estacionamento ao lado. 🚗
| Boa pergunta! Tudo isso está em https://clinica.example/primeira-consulta
""")

RESCHEDULE = script("""
C: Oi, preciso remarcar minha consulta do dia {day} 🙏
| {greeting}, surgiu um imprevisto e não vou conseguir ir dia {day} às {hour}
A: Olá, {customer}! Aqui é {agent}. Sem problema. É a consulta com {doctor}, às {hour}, certo?
C: Essa
| isso
A: Tenho *{other_day} às {other_hour}*. Serve?
| O próximo horário livre é {other_day}, às {other_hour}. Posso confirmar?
[
C: Não tem mais tarde? Saio do trabalho às 17h30
| tem algum horário no fim da tarde?
A: Nesse dia só às 18h10, por encaixe. Quer que eu reserve?
C: quero!
| Pode reservar sim
A: Reservado!
]
C: Pode confirmar
| ok, confirma por favor
A: Prontinho, remarcado ✅ Envio um lembrete na véspera.
""")

SLOW_INTERNET = script("""
C: Minha internet tá péssima hoje
| {greeting}, contratei {speed} mega e no teste só dá {measured}
C: Fiz o teste e deu {measured} Mbps. Pago por {speed}!!
| trabalho de casa e não consigo fazer uma reunião 😩
A: Olá, {customer}! Sou {agent}, do suporte técnico. Vamos resolver isso juntos. 🔧 O teste foi feito no cabo ou no Wi-Fi?
C: wi-fi
| No Wi-Fi, do lado do roteador
A: Certo. Vamos fazer um passo a passo:

1. Desligue o roteador da tomada
2. Espere *30 segundos*
3. Ligue de novo e aguarde as luzes ficarem verdes

Me avise quando terminar. ⏳
C: fiz
| Pronto, as luzes estão verdes
C: Continua lento
| agora deu {measured},7
A: Perfeito! Estou vendo o sinal daqui: o canal do Wi-Fi está congestionado. Vou trocar de 2,4 GHz para *5 GHz*. Você pode perder a conexão por um minuto.
[
C: Caiu
| caiu tudo aqui
A: É esperado, já volta. 😊
C: voltou!
]
C: E agora, testo de novo?
| Posso testar?
A: Teste de novo, por favor, em https://velocidade.example
C: {speed} certinho agora 🚀
| subiu pra quase {speed}!! 👏👏
[
A: Que bom! Se cair de novo, agendo uma visita técnica sem custo. Protocolo *{protocol}*.
]
""")

NO_INTERNET = script("""
C: sem internet desde ontem à noite aqui no {district}
| Caiu a internet de novo. Bairro {district}, CEP {cep}
A: {greeting}! Aqui é {agent}. Vou checar se há alguma ocorrência na região de {district}. Um momento, por favor.
A: Confirmado: houve um *rompimento de fibra* na sua região e a equipe já está no local. 👷
C: Previsão?
| que horas volta??
| E volta quando? Tenho prova online hoje
A: A previsão é até as *{hour}*. Assim que normalizar, você recebe um aviso por aqui.
C: Vou ter desconto na fatura?
| isso já é a terceira vez esse mês. quero desconto
A: Sim! O desconto proporcional é automático e virá na fatura de {other_day}. O protocolo é *{protocol}*.
[
C: Voltou aqui
| Opa, voltou! 🎉
A: Que ótima notícia! Agradeço por avisar. 💚
]
""")

PASSWORD = script("""
C: Não consigo entrar na minha conta
| esqueci a senha e o e-mail de recuperação não chega
A: Oi! Aqui é {agent}. Qual e-mail está no seu cadastro?
| {greeting}! Vamos lá. Me confirma o e-mail cadastrado, por favor?
C: {email}
A: Encontrei! Enviei um novo link para {email}. Ele vale por *30 minutos*. Dá uma olhada também no spam.
C: Não chegou nada
| nada ainda 😕
| Chegou, mas diz que o link expirou
A: Vou gerar outro por aqui mesmo: https://minhaconta.example/nova-senha/{protocol}
[
C: Pede um código
| qual código é esse que pede?
A: É o código de 6 dígitos que chega por SMS. ⚠️ *Não compartilhe com ninguém*, nem com a gente.
C: ah tá, chegou
]
C: Consegui!! Mas queria também atualizar meu endereço, dá pra fazer aqui?
| Deu certo! aproveitando, como mudo o endereço do cadastro?
A: Dá, sim! Me envia o novo endereço completo com CEP?
C: {street}
{district}
CEP {cep}
| {street}, {district}, {cep}
A: Atualizado! ✅ Confira em "Meus dados".
""")

PRAISE = script("""
C: Oi! Só passando pra elogiar o atendimento de vocês 🥰
| {greeting}! Não é reclamação não, é elogio rs
A: Que alegria receber isso! 💛 Aqui é {agent}. Conta pra gente!
C: O {product} chegou antes do prazo, super bem embalado, e veio até um bilhetinho escrito à mão. Nunca vi isso! Comprei o presente em cima da hora, achei que não ia dar tempo, e {agent} me acompanhou do começo ao fim. Minha mãe amou. Parabéns a toda a equipe, vocês ganharam cliente pra vida toda. ❤️
| Comprei um {product} semana passada e o rapaz da entrega foi um amor, subiu três andares com a caixa
A: Ficamos muito felizes, {customer}! Vou repassar ao time, eles vão adorar. 😍
C: Tem algum lugar pra avaliar?
| Posso deixar uma avaliação no site?
A: Pode, sim, e ajuda muito: https://loja.example/avaliar/{order} ⭐⭐⭐⭐⭐
[
A: E como agradecimento, um cupom de 10% para a próxima compra: *OBRIGADO10*
C: Eba! 🎉
| que fofos, adorei
]
""")

CANCELLATION = script("""
C: Quero cancelar meu plano
| {greeting}. Gostaria de fazer o cancelamento da minha assinatura
A: Olá, {customer}. Sou {agent}. Lamento que queira nos deixar. Posso saber o motivo?
C: Tá caro
| Subiu pra {bill} e não tenho usado
| Vou me mudar
A: Entendo. Consigo manter o seu plano de {speed} Mega com *30% de desconto por 12 meses*. O que acha?
C: Quanto fica?
| hmm, e tem fidelidade?
A: Hoje você paga {bill}. Com o desconto, economiza bastante, e *sem fidelidade*: pode sair quando quiser.
[
C: Deixa eu pensar um pouco
| vou conversar aqui em casa e já respondo
A: Claro, sem pressa. A proposta vale até {day}. 😊
C: Voltei
]
C: Tá, vou ficar então
| Fechado, pode aplicar o desconto
| {thanks}, mas prefiro cancelar mesmo
A: Certo! Já registrei a sua escolha no protocolo *{protocol}*. A confirmação vai para {email}.
""")

BEFORE_BUYING = script("""
C: Oii, o {product} tem pronta entrega?
| {greeting}! Vocês ainda têm o {product} por {price}?
A: Oi! Tudo bem? Aqui é {agent}. Temos, sim! 🙌 Está por *{price}*, em até 10x sem juros.
C: E à vista no pix?
| tem desconto no Pix?
A: No Pix tem *5% de desconto*. 💸
[
C: Qual a garantia?
| tem garantia né?
A: A garantia é de *12 meses* com o fabricante. O manual está em https://loja.example/manuais
C: Show
]
C: entrega em {district}? CEP {cep}
| Quanto fica o frete pro CEP {cep}?
A: Para {cep} o frete é *grátis* e chega até {other_day}. 🚚
C: Vou levar! Como faço?
| quero 😍 manda o link
A: Aqui está o link para finalizar:
https://loja.example/carrinho/{order}
C: Comprei
| Pedido feito, {order}
""")

SUBJECTS = (
    DELIVERY_LATE, TRACKING, BOLETO, PIX, WRONG_BILL, EXCHANGE, DEFECT, APPOINTMENT, RESCHEDULE,
    SLOW_INTERNET, NO_INTERNET, PASSWORD, PRAISE, CANCELLATION, BEFORE_BUYING,
)  # fmt: skip

FAREWELLS = (
    script("""
A: Posso ajudar em mais alguma coisa, {customer}?
C: Não, era só isso. Muito {thanks}!
| só isso, {thanks} 🙏
| Não, {thanks}!
A: Por nada! Tenha um ótimo dia. 💚
| Disponha! Se precisar, é só chamar. 😊
"""),
    script("""
C: {thanks}!! 😊
| Valeu, {agent}!
| ok {thanks}
A: Imagina! Qualquer coisa, estamos por aqui. 👋
| Eu que agradeço! De 1 a 5, que nota você dá para este atendimento?
[
C: 5
| 5 ⭐
| nota 10 kkk
]
"""),
)

AFTERTHOUGHTS = (
    "👍",
    "{thanks}!",
    "Ah, esqueci de perguntar uma coisa",
    "Oi, {agent}, ainda está aí?",
)
